"""Image embeddings from a feature map and any map of foreground."""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["pooled_over"]


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
