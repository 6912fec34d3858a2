"""Save and exit on Ctrl-C and SIGTERM."""

import signal

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook

from luss.engine.accumulation import gradients_wait
from luss.engine.hooks.checkpoint_hook import CheckpointHook
from luss.registry import HOOKS

__all__ = ["GracefulStopHook"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@HOOKS.register_module()
class GracefulStopHook(Hook):
    """Hook that, on SIGINT or SIGTERM, finishes the iteration, saves a checkpoint and exits.

    With accumulated gradients, training continues to the next update of the weights. A running
    validation is finished first. The exit code is 128 + the signal's number. A second signal exits
    immediately.

    Args:
        interval: iterations between checks of other ranks' signals; one process checks each.
    """

    # Before CheckpointHook, to avoid saving twice.
    priority = "LOW"

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval
        self.received: int | None = None
        self.agreed = 0
        self.previous: dict = {}

    def before_train(self, runner) -> None:
        """Install the signal handlers."""
        self.received, self.agreed = None, 0
        self.previous = {number: signal.signal(number, self._note) for number in _SIGNALS}

    def _note(self, number: int, frame) -> None:
        if self.received is not None:
            self.release()
            signal.raise_signal(number)
        self.received = number

    def release(self) -> None:
        """Restore the previous signal handlers."""
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous = {}

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Save and exit if any rank has received a signal."""
        self.agreed = self.agreed or self._agreed(runner.iter)
        if not self.agreed or gradients_wait(runner.optim_wrapper):
            return
        number = self.agreed
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                hook.save_now(runner)
        runner.logger.info(
            f"stopped by {signal.Signals(number).name} after iteration {runner.iter + 1}; "
            "use --resume to continue from here"
        )
        self.release()
        raise SystemExit(128 + number)

    def _agreed(self, iteration: int) -> int:
        number = self.received or 0
        if get_world_size() == 1:
            return number
        if (iteration + 1) % self.interval:
            return 0
        tensor = torch.tensor(number)
        all_reduce(tensor, op="max")
        return int(tensor)

    def after_train(self, runner) -> None:
        """Restore the handlers, and raise a signal received after the last check."""
        self.release()
        if self.received is not None:
            signal.raise_signal(self.received)
