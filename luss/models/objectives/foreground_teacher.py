"""Supervision of pixel attention by foreground maps, in addition to the clustering loss."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from luss.errors import LussError
from luss.registry import MODELS
from luss.structures import ViewGeometry, sample_in_views, size_of

__all__ = ["ForegroundTeacher", "foreground_loss"]

_LOSSES = ("bce", "l2")


def foreground_loss(attention: Tensor, foreground: Tensor, kind: str = "bce") -> Tensor:
    """Compute the loss between the mean attention and a foreground map.

    The default is the cross entropy: its gradient does not vanish where the attention is
    confidently wrong, unlike that of the squared difference.

    Args:
        attention: (M, 1, h, w) in (0, 1), the mean over channels.
        foreground: (M, 1, h, w) in [0, 1].
        kind: ``bce`` or ``l2``.

    Returns:
        Scalar, the mean over pixels.
    """
    # Autocast rejects the cross entropy of probabilities at any precision.
    with torch.autocast(attention.device.type, enabled=False):
        loss = F.binary_cross_entropy if kind == "bce" else F.mse_loss
        return loss(attention.float(), foreground.float())


@MODELS.register_module()
class ForegroundTeacher(BaseModule):
    """Loss of the mean attention against foreground maps that were computed before training.

    Args:
        weight: of this loss in the total; the clustering loss has ``1 - weight``.
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
        """Compute the loss of V views of N photos.

        Args:
            attention: (V N, 1, h, w) in (0, 1), view by view.
            maps: (N, 1, h', w') uint8 of the complete photos, 255 for the likeliest foreground.
            views: V geometries of N views each.
        """
        maps = maps / 255
        shown = torch.cat([sample_in_views(maps, view, size_of(attention)) for view in views])
        return foreground_loss(attention, shown, self.loss)
