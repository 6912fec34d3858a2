"""PixPro, the L_e of PASS_p: pixel-to-propagation consistency (Xie et al., 2021, section 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from luss.models.backbones import maps_of
from luss.models.heads.pixel_propagation import PixelPropagation
from luss.models.objectives.momentum_encoder import MomentumEncoder
from luss.models.objectives.objective import Objective
from luss.registry import MODELS
from luss.structures import ViewFeatures, near_pixels

__all__ = ["PixPro", "consistency_loss"]


def consistency_loss(queries: Tensor, keys: Tensor, near: Tensor) -> Tensor:
    """How unlike the pixels of two views are that show nearly the same place (equation 5).

    Args:
        queries: (N, D, H, W) float, of one view.
        keys: (N, D, H, W) float, of the other.
        near: (N, H * W, H * W) bool, which pixels of the first belong to which of the second.

    Returns:
        Scalar in [-2, 2], float32: twice the negative mean cosine over an image's pairs, averaged
        over the images; an image without pairs counts as 0.
    """
    with torch.autocast(queries.device.type, enabled=False):
        queries, keys = (F.normalize(maps.float().flatten(2), dim=1) for maps in (queries, keys))
        cosines = queries.transpose(1, 2) @ keys
    pairs = near.sum(dim=(1, 2))
    return -2 * ((cosines * near).sum(dim=(1, 2)) / (pairs + 1e-6)).mean()


class _PixelEncoder(nn.Module):
    """Backbone and projector; (M, 3, height, width) -> (M, D, H, W)."""

    def __init__(self, backbone: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.projector = projector

    def forward(self, images: Tensor) -> Tensor:
        return self.projector(maps_of(self.backbone, images)[-1])


@MODELS.register_module()
class PixPro(Objective):
    """Pixels of one view, smoothed by pixel propagation, predict those of the other.

    What is predicted comes from a momentum copy of backbone and projector, which sees both large
    crops once more in every iteration.

    Args:
        in_channels: channels L of the deepest feature map.
        hidden_channels: between the two convolutions of the projector.
        embedding_channels: D, channels of the pixel embeddings.
        sharpness: of pixel propagation, see :func:`luss.models.heads.pixel_propagation.propagate`.
        max_distance: pixels belong together below this distance, in diagonals of the larger pixel.
        momentum: of the copy at first; it rises to 1 in a cosine over training.
        init_cfg: see :class:`mmengine.model.BaseModule`.
    """

    num_views = 2
    needs_geometry = True

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 4096,
        embedding_channels: int = 256,
        sharpness: float = 2.0,
        max_distance: float = 0.7,
        momentum: float = 0.99,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        # Weights as PyTorch draws them, as in PixPro's code.
        self.projector = nn.Sequential(
            nn.Conv2d(in_channels, hidden_channels, 1),
            nn.BatchNorm2d(hidden_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden_channels, embedding_channels, 1),
        )
        self.propagation = PixelPropagation(embedding_channels, sharpness)
        self.max_distance = max_distance
        self.momentum = momentum

    def channels(self, deepest: int) -> dict[int, int]:
        """It reads the deepest stage."""
        return {deepest: self.projector[0].in_channels}

    def set_backbone(self, backbone: nn.Module) -> None:
        """Copy the backbone, and follow it from now on."""
        encoder = _PixelEncoder(backbone, self.projector)
        self.momentum_encoder = MomentumEncoder(encoder, self.momentum)
        # In a tuple, so that the backbone does not become a part of this module as well.
        self._encoder = (encoder,)

    def forward(self, views: ViewFeatures) -> dict[str, Tensor]:
        """Loss of the two large crops in both directions, ``{"": scalar}`` in [-4, 4]."""
        queries = self.propagation(self.projector(views.large(views.deepest))).chunk(2)
        keys = self._keys(torch.cat(views.images[:2])).chunk(2)
        corners = [geometry.corners() for geometry in views.geometry[:2]]
        near = near_pixels(*corners, tuple(queries[0].shape[2:]), self.max_distance)
        return {
            "": consistency_loss(queries[0], keys[1], near)
            + consistency_loss(queries[1], keys[0], near.transpose(1, 2))
        }

    @torch.no_grad()
    def _keys(self, images: Tensor) -> Tensor:
        """Embeddings (M, D, H, W) of the momentum copy, which follows first."""
        if self.training:
            self.momentum_encoder.update_parameters(*self._encoder)
        return self.momentum_encoder(images)
