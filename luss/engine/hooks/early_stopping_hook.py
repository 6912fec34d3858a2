"""Early stopping whose state is resumed."""

from mmengine.hooks import EarlyStoppingHook as MMEngineEarlyStoppingHook

from luss.registry import HOOKS

__all__ = ["EarlyStoppingHook"]

_KEY = "early_stopping"


@HOOKS.register_module()
class EarlyStoppingHook(MMEngineEarlyStoppingHook):
    """MMEngine's hook with its state in checkpoints.

    A stage that stops early ends with the current model, not the best one.
    """

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add the state."""
        state = {"wait_count": self.wait_count, "best_score": float(self.best_score)}
        checkpoint.setdefault(_KEY, {})[self.monitor] = state

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Load the state."""
        for name, value in checkpoint.get(_KEY, {}).get(self.monitor, {}).items():
            setattr(self, name, value)
