"""The warm-up of DenseCL's dense loss, in updates of the weights."""

from mmselfsup.engine.hooks import DenseCLHook as MMSelfSupDenseCLHook
from mmselfsup.utils import get_model

from luss.engine.accumulation import iterations_per_update
from luss.errors import LussError
from luss.registry import HOOKS

__all__ = ["DenseCLHook"]


@HOOKS.register_module()
class DenseCLHook(MMSelfSupDenseCLHook):
    """As mmselfsup's hook, which counts iterations also where gradients of several are summed.

    Args:
        start_iters: updates of the weights before the dense loss begins.
    """

    def check_fit(self, runner) -> None:
        """Reject a model without a dense loss.

        Raises:
            LussError: if the model is no DenseCL.
        """
        model = get_model(runner.model)
        if not hasattr(model, "loss_lambda"):
            raise LussError(
                f"DenseCLHook: the model is a {type(model).__name__}, which has no dense loss; "
                "take the hook out of custom_hooks, or train mmselfsup.DenseCL"
            )

    def before_train(self, runner) -> None:
        """Look up the loss's share, and when it begins."""
        super().before_train(runner)
        self.counts = iterations_per_update(runner.optim_wrapper)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Set the dense loss's share of this iteration."""
        begun = runner.iter // self.counts >= self.start_iters
        get_model(runner.model).loss_lambda = self.loss_lambda if begun else 0.0
