"""The disentangler of C2AM: a map that splits a photo's features into two representations."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from luss.registry import MODELS

__all__ = ["Disentangler", "disentangle"]


@MODELS.register_module()
class Disentangler(BaseModule):
    """A 3x3 convolution without bias, BN and a sigmoid (Xie et al., C2AM, section 3.1).

    Args:
        in_channels: channels L of the features.
        init_cfg: see :class:`mmengine.model.BaseModule`.
    """

    def __init__(self, in_channels: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.convolution = nn.Conv2d(in_channels, 1, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the activation map (N, 1, h, w) float32 in [0, 1] of features (N, L, h, w)."""
        return torch.sigmoid(self.norm(self.convolution(features)).float())


def disentangle(features: Tensor, activation: Tensor) -> tuple[Tensor, Tensor]:
    """Average features with the map, and with its complement, as weights.

    Args:
        features: (N, L, h, w) floating point.
        activation: (N, 1, h, w) in [0, 1].

    Returns:
        (N, L) weighted by the map, and (N, L) weighted by one minus the map; their sum is the mean
        of the features.
    """
    with torch.autocast(features.device.type, enabled=False):
        flat, weights = features.flatten(2).float(), activation.flatten(2).float()
        pixels = flat.shape[2]
        # (N, L, h w) times (N, h w, 2): both sides in one product.
        both = flat @ torch.cat([weights, 1 - weights], dim=1).transpose(1, 2) / pixels
    active, rest = both.unbind(dim=2)
    return active, rest
