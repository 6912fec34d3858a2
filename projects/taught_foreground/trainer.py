"""Supervision of pixel attention by foreground maps, in addition to the clustering loss."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from luss.errors import LussError
from luss.models.pretrainers import PixelAttentionTrainer
from luss.models.pretrainers.pass_pretrainer import weighted_total
from luss.registry import MODELS
from luss.structures import ViewGeometry, sample_in_views, size_of

__all__ = ["TaughtAttentionTrainer", "foreground_loss"]

_LOSSES = {"bce": F.binary_cross_entropy, "l2": F.mse_loss}


def foreground_loss(
    attention: Tensor, maps: Tensor, views: Sequence[ViewGeometry], kind: str = "bce"
) -> Tensor:
    """Compute the loss between the mean attention of views and the maps of their photos.

    The default is the cross entropy: its gradient does not vanish where the attention is
    confidently wrong, unlike that of the squared difference.

    Args:
        attention: (V N, 1, h, w) in (0, 1), the mean over channels, view by view.
        maps: (N, 1, h', w') uint8 of the complete photos, 255 for the likeliest foreground.
        views: V geometries of N views each.
        kind: ``bce`` or ``l2``.

    Returns:
        Scalar, the mean over pixels.
    """
    maps = maps / 255
    shown = torch.cat([sample_in_views(maps, view, size_of(attention)) for view in views])
    # Autocast rejects the cross entropy of probabilities at any precision.
    with torch.autocast(attention.device.type, enabled=False):
        return _LOSSES[kind](attention.float(), shown.float())


@MODELS.register_module()
class TaughtAttentionTrainer(PixelAttentionTrainer):
    """Trainer of attention by the clustering loss and foreground maps.

    Args:
        weight: of the foreground loss in the total; the clustering loss has ``1 - weight``.
        foreground_loss: ``bce`` or ``l2``, see :func:`foreground_loss`.
        **kwargs: see :class:`luss.models.PixelAttentionTrainer`.

    Raises:
        LussError: if a setting is out of range.
    """

    def __init__(self, weight: float = 0.9, foreground_loss: str = "bce", **kwargs) -> None:
        super().__init__(**kwargs)
        if isinstance(weight, bool) or not 0 < weight <= 1 or foreground_loss not in _LOSSES:
            raise LussError(
                f"TaughtAttentionTrainer: weight is {weight}, expected a number above 0 and up to "
                f"1; foreground_loss is {foreground_loss!r}, expected one of {', '.join(_LOSSES)}"
            )
        self.weight = weight
        self.kind = foreground_loss

    def forward(
        self,
        inputs: list[Tensor] | Tensor,
        geometry: Tensor | None = None,
        foreground: Tensor | None = None,
        mode: str = "tensor",
    ) -> dict[str, Tensor] | Tensor:
        """Compute losses of a batch of views, or the feature map of images.

        Args:
            inputs: V tensors (N, 3, H, W) for losses, one (N, 3, H, W) for features.
            geometry: (N, V, 7), as collated.
            foreground: (N, 1, h, w) uint8, the maps of the complete photos.
            mode: ``loss`` or ``tensor``.

        Raises:
            LussError: if a batch has no maps or no geometry.
        """
        if mode != "loss":
            return super().forward(inputs, mode=mode)
        if foreground is None:
            raise LussError(
                "the batch has no foreground maps. Let the pipeline load them with "
                "LoadForegroundAsMask, and end with PackViewsAndMap"
            )
        features = self.extract(torch.cat(list(inputs)))
        attention = self.attention.mean_attention(features)
        views = ViewGeometry.unpack_views(geometry)
        return {
            "loss_clustering": self.clustering_loss(features, len(inputs[0])),
            "loss_foreground": foreground_loss(attention, foreground, views, self.kind),
        }

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the weighted total; losses are logged unweighted."""
        share = self.weight
        return weighted_total(losses, {"loss_clustering": 1 - share, "loss_foreground": share})
