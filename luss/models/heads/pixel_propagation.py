"""Pixel propagation module of PixPro (Xie et al., 2021, "Propagate Yourself", section 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PixelPropagation", "propagate"]


def propagate(features: Tensor, values: Tensor, sharpness: float = 2.0) -> Tensor:
    """Smooth values over the pixels of an image, weighted by the similarity of their features.

    Output i is the sum over all pixels j of ``max(cos(features i, features j), 0) ** sharpness``
    times the unit vector of values j (equations 3 and 4).

    Args:
        features: (N, D, H, W) float.
        values: (N, D', H, W) float.
        sharpness: exponent of the similarity, above 0.

    Returns:
        (N, D', H, W) float32.
    """
    # Half precision is too coarse for squared similarities and sums over all pixels.
    with torch.autocast(features.device.type, enabled=False):
        units = F.normalize(features.float().flatten(2), dim=1)
        similarity = (units.transpose(1, 2) @ units).clamp(min=0) ** sharpness
        smoothed = F.normalize(values.float().flatten(2), dim=1) @ similarity
    return smoothed.unflatten(2, features.shape[2:])


class PixelPropagation(nn.Module):
    """Module of :func:`propagate`; values come from a 1x1 convolution with bias (g, equation 3).

    Args:
        channels: D, of the features and of the result.
        sharpness: see :func:`propagate`.
    """

    def __init__(self, channels: int, sharpness: float = 2.0) -> None:
        super().__init__()
        self.value = nn.Conv2d(channels, channels, 1)
        self.sharpness = sharpness

    def forward(self, features: Tensor) -> Tensor:
        """Smooth features (N, D, H, W) float; return (N, D, H, W) float32."""
        return propagate(features, self.value(features), self.sharpness)
