"""A loss to begin with: alignment (Wang and Isola, ICML 2020, section 4.2). Put yours here."""

import torch.nn.functional as F
from torch import Tensor

from luss.models import Objective
from luss.registry import MODELS
from luss.structures import ViewFeatures

__all__ = ["TemplateLoss", "alignment_loss"]


def alignment_loss(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of the directions of two embeddings of the same photos.

    Args:
        first: (N, D) float.
        second: (N, D) float.

    Returns:
        Scalar in 0..4.
    """
    difference = F.normalize(first, dim=1) - F.normalize(second, dim=1)
    return difference.square().sum(dim=1).mean()


@MODELS.register_module()
class TemplateLoss(Objective):
    """Aligns the pooled features of the two large crops.

    Args:
        init_cfg: see :class:`mmengine.model.BaseModule`.
    """

    num_views = 2

    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)

    def forward(self, views: ViewFeatures) -> dict[str, Tensor]:
        """Loss of a batch as ``{"": scalar}``."""
        pooled = views.large(views.deepest).mean(dim=(2, 3)).float()
        return {"": alignment_loss(*pooled.split(views.batch_size))}
