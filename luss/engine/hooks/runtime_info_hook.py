"""MMEngine's hook that hands learning rates and losses to the log."""

from mmengine.hooks import RuntimeInfoHook as MMEngineRuntimeInfoHook

from luss.engine.unread_outputs import UnreadOutputs
from luss.registry import HOOKS

__all__ = ["RuntimeInfoHook"]


@HOOKS.register_module()
class RuntimeInfoHook(MMEngineRuntimeInfoHook):
    """MMEngine's hook, but it does not wait for the device in each iteration.

    Args:
        interval: iterations between readings of the losses, see :class:`UnreadOutputs`.
    """

    def __init__(self, interval: int | None = None) -> None:
        super().__init__()
        self.unread = UnreadOutputs(interval)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None
    ) -> None:
        """Keep the losses of the iteration; hand them over when it is time to read them."""
        self.unread.add(runner.iter, outputs)
        if self.unread.is_due(batch_idx, len(runner.train_dataloader)):
            for _, values in self.unread.read():
                for name, value in values.items():
                    runner.message_hub.update_scalar(f"train/{name}", value)
