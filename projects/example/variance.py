"""A loss: the variance term of VICReg (Bardes, Ponce and LeCun, ICLR 2022, equation 1)."""

import torch.nn.functional as F
from torch import Tensor

from luss.models import Objective
from luss.registry import MODELS
from luss.structures import ViewFeatures

__all__ = ["Variance", "variance_loss"]


def variance_loss(embeddings: Tensor, target: float = 1.0, epsilon: float = 1e-4) -> Tensor:
    """Mean over channels of what their standard deviation lacks of a target.

    Args:
        embeddings: (N, D) float, N at least 2.
        target: standard deviation from which a channel costs nothing.
        epsilon: added to the variance, so that the gradient at 0 is finite.

    Returns:
        Scalar in 0..target.
    """
    return F.relu(target - (embeddings.var(dim=0) + epsilon).sqrt()).mean()


@MODELS.register_module()
class Variance(Objective):
    """Keeps the pooled features of each view apart over the photos of a batch.

    Args:
        target: see :func:`variance_loss`.
        init_cfg: see :class:`mmengine.model.BaseModule`.
    """

    def __init__(self, target: float = 1.0, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.target = target

    def forward(self, views: ViewFeatures) -> dict[str, Tensor]:
        """Mean loss of all views as ``{"": scalar}``."""
        of_views = views.pooled().float().split(views.batch_size)
        return {"": sum(variance_loss(view, self.target) for view in of_views) / len(of_views)}
