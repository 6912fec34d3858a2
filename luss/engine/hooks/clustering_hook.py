"""Training progress for the clustering objective."""

from mmengine.hooks import Hook
from torch import nn

from luss.engine.accumulation import iterations_per_update, wrapper_of
from luss.engine.bare_model import bare_model
from luss.errors import LussError
from luss.models.objectives import Clustering
from luss.registry import HOOKS

__all__ = ["ClusteringHook", "required_clustering"]


def required_clustering(model, hook: Hook) -> Clustering:
    """Return the clustering objective of a (wrapped) model, for a hook.

    Raises:
        LussError: if the model has none.
    """
    for part in bare_model(model).modules():
        if isinstance(part, Clustering):
            return part
    raise LussError(
        f"{type(hook).__name__}: the model has no Clustering objective; take the hook out of "
        "custom_hooks, or add the objective"
    )


@HOOKS.register_module()
class ClusteringHook(Hook):
    """Hook that sets epoch and update of the clustering objective, and freezes prototypes."""

    prepares_loss = True

    def check_fit(self, runner) -> None:
        """Reject a model without the objective.

        Raises:
            LussError: as :func:`required_clustering`.
        """
        required_clustering(runner.model, self)

    def before_train(self, runner) -> None:
        """Find the objective; let each step of its optimizer drop gradients that are frozen."""
        self.clustering = required_clustering(runner.model, self)
        prototypes = self.clustering.prototypes.weight
        assert isinstance(prototypes, nn.Parameter)
        wrapper = wrapper_of(prototypes, runner.optim_wrapper)
        if wrapper is not None:
            wrapper.optimizer.register_step_pre_hook(
                lambda *_: self.clustering.drop_frozen_gradients()
            )
        self.counts = iterations_per_update(wrapper or runner.optim_wrapper)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Move the schedule on."""
        self.clustering.set_progress(runner.epoch, runner.iter // self.counts)
