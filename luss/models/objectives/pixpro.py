"""PixPro, the L_e of PASS_p: pixel-to-propagation consistency (Xie et al., 2021, section 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from luss.models.backbones import extract_maps
from luss.models.heads.pixel_propagation import PixelPropagation
from luss.models.objectives.momentum_encoder import MomentumEncoder
from luss.models.objectives.objective import Objective
from luss.registry import MODELS
from luss.structures import ViewFeatures, near_pixels, size_of

__all__ = ["PixPro", "consistency_loss"]


def consistency_loss(queries: Tensor, keys: Tensor, near: Tensor) -> Tensor:
    """Compute the loss between pixels of two views that show nearly the same place (equation 5).

    Args:
        queries: (N, D, H, W) float, of one view.
        keys: (N, D, H, W) float, of the other view.
        near: (N, H * W, H * W) bool, pairs of pixels of the first and the second view.

    Returns:
        Scalar in [-2, 2], float32: twice the negative mean cosine over an image's pairs, averaged
        over the images; 0 for an image without pairs.
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
        return self.projector(extract_maps(self.backbone, images)[-1])


@MODELS.register_module()
class PixPro(Objective):
    """Objective of predicting the pixels of one view from the other, after pixel propagation.

    The targets come from a momentum copy of backbone and projector, which processes both large
    crops in every iteration.

    Args:
        in_channels: channels L of the deepest feature map.
        hidden_channels: of the projector's hidden layer.
        embedding_channels: D, channels of the pixel embeddings.
        sharpness: of pixel propagation, see :func:`luss.models.heads.pixel_propagation.propagate`.
        max_distance: largest distance of a pair of pixels, in diagonals of the larger pixel.
        momentum: initial momentum of the copy; it rises to 1 by a cosine over training.
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
        self.in_channels = in_channels
        # PyTorch's default initialisation, as in PixPro's code.
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
        """Return the channels of the last stage."""
        return {deepest: self.in_channels}

    def set_backbone(self, backbone: nn.Module) -> None:
        """Create the momentum copy of the backbone."""
        encoder = _PixelEncoder(backbone, self.projector)
        self.momentum_encoder = MomentumEncoder(encoder, self.momentum)
        # The tuple keeps the backbone from becoming a submodule.
        self._encoder = (encoder,)

    def forward(self, views: ViewFeatures) -> dict[str, Tensor]:
        """Compute the loss of the large crops in both directions, ``{"": scalar}`` in [-4, 4]."""
        queries = self.propagation(self.projector(views.large(views.deepest))).chunk(2)
        keys = self._keys(torch.cat(list(views.images[:2]))).chunk(2)
        first, second = (geometry.corners() for geometry in views.geometry[:2])
        near = near_pixels(first, second, size_of(queries[0]), self.max_distance)
        return {
            "": consistency_loss(queries[0], keys[1], near)
            + consistency_loss(queries[1], keys[0], near.transpose(1, 2))
        }

    @torch.no_grad()
    def _keys(self, images: Tensor) -> Tensor:
        """Update the momentum copy, then compute its embeddings (M, D, H, W)."""
        if self.training:
            self.momentum_encoder.update_parameters(*self._encoder)
        return self.momentum_encoder(images)
