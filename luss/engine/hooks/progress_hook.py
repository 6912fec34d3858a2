"""Progress of training."""

from mmengine.hooks import Hook

from luss.engine.progress import Progress
from luss.registry import HOOKS

__all__ = ["ProgressHook"]


@HOOKS.register_module()
class ProgressHook(Hook):
    """Hook that shows iterations, the remaining time and the loss, see :class:`Progress`."""

    # After the losses of an iteration were read by RuntimeInfoHook.
    priority = "VERY_LOW"

    def before_train(self, runner) -> None:
        """Start at the runner's iteration."""
        self.progress = Progress(runner.max_iters, "training", unit="iterations", done=runner.iter)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: dict | None = None
    ) -> None:
        """Count the iteration."""
        loss = runner.message_hub.log_scalars.get("train/loss")
        self.progress.advance(1, "" if loss is None else f"loss {loss.current():.3f}")

    def after_train(self, runner) -> None:
        """Clear the status line, also if training was stopped early."""
        self.progress.close()
