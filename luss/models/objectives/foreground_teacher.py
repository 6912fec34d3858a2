"""A map of foreground that teaches pixel attention, beside the clustering loss."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from luss.errors import LussError
from luss.registry import MODELS
from luss.structures import ViewGeometry, sample_in_views

__all__ = ["ForegroundTeacher", "foreground_loss"]

_LOSSES = ("bce", "l2")


def foreground_loss(attention: Tensor, foreground: Tensor, kind: str = "bce") -> Tensor:
    """How far the mean attention is from a map of foreground.

    Cross entropy, by default, as the mean of sigmoids is a probability: its gradient does not
    fade where the attention is surely wrong, as that of the squared difference does.

    Args:
        attention: (M, 1, h, w) in (0, 1), the mean over channels.
        foreground: (M, 1, h, w) in [0, 1].
        kind: ``bce`` or ``l2``.

    Returns:
        Scalar, the mean over pixels.
    """
    # Autocast refuses the cross entropy of probabilities, whatever their precision.
    with torch.autocast(attention.device.type, enabled=False):
        loss = F.binary_cross_entropy if kind == "bce" else F.mse_loss
        return loss(attention.float(), foreground.float())


@MODELS.register_module()
class ForegroundTeacher(BaseModule):
    """Draws the mean attention towards maps of foreground that were made before training.

    Args:
        weight: of this loss in the total, where the clustering loss has ``1 - weight``.
        loss: ``bce`` or ``l2``, see :func:`foreground_loss`.
        init_cfg: see :class:`mmengine.model.BaseModule`.

    Raises:
        LussError: if a setting is out of range.
    """

    def __init__(
        self, weight: float = 0.9, loss: str = "bce", init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        if isinstance(weight, bool) or not 0 < weight <= 1 or loss not in _LOSSES:
            raise LussError(
                f"ForegroundTeacher: weight is {weight}, expected a number above 0 and up to 1; "
                f"loss is {loss!r}, expected one of {', '.join(_LOSSES)}"
            )
        self.weight = weight
        self.loss = loss

    def forward(self, attention: Tensor, maps: Tensor, views: Sequence[ViewGeometry]) -> Tensor:
        """The loss of V views of N photos.

        Args:
            attention: (V N, 1, h, w) in (0, 1), view by view.
            maps: (N, 1, h', w') uint8 of the whole photos, 255 where an object is likeliest.
            views: V geometries of N views each.
        """
        size = attention.shape[2:]
        maps = maps / 255
        shown = torch.cat([sample_in_views(maps, view, size) for view in views])
        return foreground_loss(attention, shown, self.loss)
