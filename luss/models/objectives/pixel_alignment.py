"""Base class of pixel-to-pixel objectives: one grid over the overlap of the two large crops."""

import torch
import torch.nn.functional as F
from torch import Tensor

from luss.models.heads.projector import PixelProjector
from luss.models.objectives.objective import Objective
from luss.structures import OUTSIDE, ViewFeatures, overlap_grids

__all__ = ["PixelAlignment", "mean_of_overlapping"]


def mean_of_overlapping(losses: Tensor, overlaps: Tensor) -> Tensor:
    """Average over the photos whose crops overlap; return 0 if there are none.

    Args:
        losses: (N,) float.
        overlaps: (N,) bool.

    Returns:
        Scalar.
    """
    return (losses * overlaps).sum() / overlaps.sum().clamp(min=1)


class PixelAlignment(Objective):
    """Objective on pixel embeddings of both large crops at the same points of the photo.

    Args:
        in_channels: channels L of the deepest feature map.
        hidden_channels: width of projector M_p.
        embedding_channels: D, channels of the pixel embeddings.
        grid_size: S, points per side of the grid over the overlap.
        projector_layers: 1x1 convolutions of M_p: 3 in the released code, 2 in the paper; 0 for no
            M_p (table 8b), then D is L.
        sample_first: sample the features before M_p (the paper) instead of its output (the
            released code).
        init_cfg: see :class:`mmengine.model.BaseModule`.

    Attributes:
        width: D.
    """

    num_views = 2
    needs_geometry = True

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        embedding_channels: int = 128,
        grid_size: int = 7,
        projector_layers: int = 3,
        sample_first: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.grid_size = grid_size
        self.sample_first = sample_first
        self.width = embedding_channels if projector_layers else in_channels
        self.projector = PixelProjector(
            in_channels, hidden_channels, embedding_channels, projector_layers
        )

    def channels(self, deepest: int) -> dict[int, int]:
        """Return the channels of the last stage."""
        return {deepest: self.in_channels}

    def grids(self, views: ViewFeatures) -> tuple[Tensor, Tensor]:
        """Compute the grid of both views, and which photos' views overlap.

        Returns:
            (2 N, S, S, 2) float, x and y in [-1, 1] of each view, and (N,) bool.
        """
        grids = overlap_grids(views.geometry[0], views.geometry[1], self.grid_size)
        return torch.cat(grids), grids[0][:, 0, 0, 0] != OUTSIDE

    def embed(self, features: Tensor, grid: Tensor) -> Tensor:
        """Compute pixel embeddings on a grid.

        Args:
            features: (M, L, H, W) float.
            grid: (M, S, S, 2) float, x and y in [-1, 1]; points outside are sampled as zero.

        Returns:
            (M, D, S, S) float.
        """
        if self.sample_first:
            return self.projector(_sample(features, grid))
        return _sample(self.projector(features), grid)


def _sample(features: Tensor, grid: Tensor) -> Tensor:
    with torch.autocast(features.device.type, enabled=False):
        return F.grid_sample(
            features.float(), grid.float(), "bilinear", "zeros", align_corners=False
        )
