"""Exponential moving average of the weights."""

from mmengine.hooks import EMAHook as MMEngineEMAHook

from luss.engine.accumulation import gradients_wait
from luss.registry import HOOKS

__all__ = ["EMAHook"]


@HOOKS.register_module()
class EMAHook(MMEngineEMAHook):
    """MMEngine's hook, but averaging after updates of the weights instead of iterations.

    The two differ with accumulated gradients.
    """

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Update the average if the iteration has updated the weights."""
        if not gradients_wait(runner.optim_wrapper):
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
