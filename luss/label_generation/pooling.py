"""Image embeddings from a feature map and any map of foreground."""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["pooled_over", "whole_where_empty"]

# A map whose mean is below says nothing: 8-bit maps have one pixel in 10^6 at least.
_SMALLEST = 1e-6


def whole_where_empty(maps: Tensor) -> Tensor:
    """Maps of foreground (N, 1, H, W), those without any replaced by the whole photo."""
    empty = maps.mean(dim=(1, 2, 3), keepdim=True) < _SMALLEST
    return maps.masked_fill(empty, 1)


def pooled_over(features: Tensor, weights: Tensor) -> Tensor:
    """The mean feature of a photo, pixels weighted by a map of foreground.

    Args:
        features: (N, L, h, w).
        weights: (N, 1, H, W), not below 0, of any size; a cell of the feature map counts by their
            mean in it.

    Returns:
        (N, L), of the features' length; zero where all weights are.
    """
    cells = F.adaptive_avg_pool2d(weights.to(features.dtype), features.shape[2:])
    total = cells.sum(dim=(2, 3))
    return (features * cells).sum(dim=(2, 3)) / total.clamp_min(1e-12)
