"""Image embeddings from a feature map and a foreground map."""

import torch.nn.functional as F
from torch import Tensor

from luss.structures import size_of

__all__ = ["fill_empty_maps", "pool_over"]

_SMALLEST = 1e-6
"""Mean below which a map is empty: non-empty 8-bit maps have at least one pixel in 10^6."""


def fill_empty_maps(maps: Tensor) -> Tensor:
    """Set foreground maps (N, 1, H, W) without any foreground to 1 everywhere."""
    empty = maps.mean(dim=(1, 2, 3), keepdim=True) < _SMALLEST
    return maps.masked_fill(empty, 1)


def pool_over(features: Tensor, weights: Tensor) -> Tensor:
    """Compute the mean feature of photos, with pixels weighted by foreground maps.

    Args:
        features: (N, L, h, w).
        weights: (N, 1, H, W), 0 or more, of any size; averaged over each cell of the feature map.

    Returns:
        (N, L), on the scale of the features; zero if all weights are zero.
    """
    cells = F.adaptive_avg_pool2d(weights.to(features.dtype), size_of(features))
    total = cells.sum(dim=(2, 3))
    return (features * cells).sum(dim=(2, 3)) / total.clamp_min(1e-12)
