"""Warm-up of DenseCL's dense loss, in updates of the weights."""

from mmselfsup.engine.hooks import DenseCLHook as MMSelfSupDenseCLHook
from mmselfsup.utils import get_model

from luss.engine.accumulation import iterations_per_update
from luss.errors import LussError
from luss.registry import HOOKS

__all__ = ["DenseCLHook"]


@HOOKS.register_module()
class DenseCLHook(MMSelfSupDenseCLHook):
    """mmselfsup's hook, but counting updates of the weights instead of iterations.

    Args:
        start_iters: updates of the weights before the dense loss begins.
    """

    def check_fit(self, runner) -> None:
        """Check that the model has a dense loss.

        Raises:
            LussError: if it has none.
        """
        model = get_model(runner.model)
        if not hasattr(model, "loss_lambda"):
            raise LussError(
                f"DenseCLHook: the model is a {type(model).__name__}, which has no dense loss; "
                "remove the hook from custom_hooks, or train mmselfsup.DenseCL"
            )

    def before_train(self, runner) -> None:
        """Read the weight of the loss, and when it starts."""
        super().before_train(runner)
        self.counts = iterations_per_update(runner.optim_wrapper)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Set the weight of the dense loss in this iteration."""
        started = runner.iter // self.counts >= self.start_iters
        get_model(runner.model).loss_lambda = self.loss_lambda if started else 0.0
