"""An average of the weights that moves when the weights do."""

from mmengine.hooks import EMAHook as MMEngineEMAHook

from luss.engine.accumulation import gradients_wait
from luss.registry import HOOKS

__all__ = ["EMAHook"]


@HOOKS.register_module()
class EMAHook(MMEngineEMAHook):
    """As MMEngine's hook, but it averages after updates of the weights, not after iterations.

    The two differ where gradients of several iterations are summed.
    """

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Move the average, if the iteration has updated the weights."""
        if not gradients_wait(runner.optim_wrapper):
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
