"""Ctrl-C and SIGTERM save and exit cleanly."""

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
    """On SIGINT or SIGTERM finishes the iteration, saves a checkpoint and exits.

    Where gradients are summed over iterations, it goes on to the next update of the weights. A
    validation is finished before. The exit code is 128 + the signal's number, as shells have it.
    A second signal is not waited for.

    Args:
        interval: iterations between looks at the other ranks' signals; one process looks at each.
    """

    # Before CheckpointHook, which then need not save twice.
    priority = "LOW"

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval
        self.received: int | None = None
        self.agreed = 0
        self.previous: dict = {}

    def before_train(self, runner) -> None:
        """Take the signals over."""
        self.received, self.agreed = None, 0
        self.previous = {number: signal.signal(number, self._note) for number in _SIGNALS}

    def _note(self, number: int, frame) -> None:
        if self.received is not None:
            self.release()
            signal.raise_signal(number)
        self.received = number

    def release(self) -> None:
        """Give the signals back."""
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous = {}

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Save and exit if a signal has come to any rank."""
        self.agreed = self.agreed or self._agreed(runner.iter)
        if not self.agreed or gradients_wait(runner.optim_wrapper):
            return
        number = self.agreed
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                hook.save_now(runner)
        runner.logger.info(
            f"stopped by {signal.Signals(number).name} after iteration {runner.iter + 1}; "
            "--resume goes on from here"
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
        """Give the signals back, with one that came after the last look."""
        self.release()
        if self.received is not None:
            signal.raise_signal(self.received)
