"""Watches for the collapse of clustering."""

import math

import torch
from mmengine.hooks import Hook
from torch import Tensor

from luss.engine.accumulation import iterations_per_update
from luss.engine.hooks.clustering_hook import required_clustering
from luss.registry import HOOKS

__all__ = ["CollapseHook", "relative_variance"]


def relative_variance(outputs: Tensor) -> Tensor:
    """Return the share of the outputs' energy that differs between images.

    Args:
        outputs: (N, D) float, not normalised.

    Returns:
        Scalar in [0, 1]: 1 - |mean|^2 / mean |.|^2; 0 if all outputs are equal, also for zeros.
    """
    outputs = outputs.float()
    energy = outputs.square().sum(dim=1).mean()
    return (energy - outputs.mean(dim=0).square().sum()) / energy.clamp(min=1e-12)


@HOOKS.register_module()
class CollapseHook(Hook):
    """Hook that warns when SwAV collapses.

    There are two signs: the loss stays at ln K, K the number of prototypes, while the prototypes
    are trained; or the spread (relative variance) of the projector's outputs before its last batch
    norm, which would hide it, falls to zero. The spread is logged.

    Args:
        interval: updates of the weights between checks.
        patience: consecutive checks with a sign before the warning.
        loss_margin: largest distance of the mean loss from ln K that is a sign.
        min_spread: smaller spreads are a sign.
    """

    # After RuntimeInfoHook has read the losses.
    priority = "BELOW_NORMAL"

    def __init__(
        self,
        interval: int = 100,
        patience: int = 5,
        loss_margin: float = 0.005,
        min_spread: float = 0.01,
    ) -> None:
        self.interval = interval
        self.patience = patience
        self.loss_margin = loss_margin
        self.min_spread = min_spread
        self.signs = 0
        self.wanted = False
        self.spread: Tensor | None = None

    def check_fit(self, runner) -> None:
        """Reject a model without a clustering objective.

        Raises:
            LussError: as :func:`luss.engine.hooks.clustering_hook.required_clustering`.
        """
        required_clustering(runner.model, self)

    def before_train(self, runner) -> None:
        """Watch the projector's outputs."""
        self.clustering = required_clustering(runner.model, self)
        self.iterations = self.interval * iterations_per_update(runner.optim_wrapper)
        self.handle = self.clustering.projector[-1].register_forward_pre_hook(self._note)

    def _note(self, module: torch.nn.Module, inputs: tuple[Tensor]) -> None:
        if self.wanted:
            self.spread = relative_variance(inputs[0].detach())

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Ask for the spread in iterations that are looked at."""
        self.wanted = (runner.iter + 1) % self.iterations == 0

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Look; a collapsed run is warned of, not stopped, since it can recover."""
        if not self.wanted or self.spread is None:
            return
        value = self.spread.item()
        runner.message_hub.update_scalar("train/spread", value)
        if self.clustering.prototypes_frozen:
            return
        losses = runner.message_hub.log_scalars.get("train/loss_clustering")
        if losses is None:  # not read yet
            return
        loss = losses.mean(self.iterations)
        ln_k = math.log(self.clustering.num_prototypes)
        sign = abs(loss - ln_k) < self.loss_margin or value < self.min_spread
        self.signs = self.signs + 1 if sign else 0
        if self.signs == self.patience:
            runner.logger.warning(
                f"clustering looks collapsed: over {self.signs * self.iterations} iterations the "
                f"loss stayed at {loss:.3f} (ln {self.clustering.num_prototypes} = {ln_k:.3f} "
                f"is chance) and the outputs' spread is {value:.3f}. Known remedies: a "
                "smaller epsilon (0.03), a smaller learning rate, fewer prototypes than batch "
                "and queue together, prototypes frozen for longer, more crops"
            )

    def after_train(self, runner) -> None:
        """Stop watching."""
        self.handle.remove()
