"""Pixel attention (PASS, section 4.3): which pixels, channel by channel, carry an image's category.

The attention of eq. (6), c(z) = sigmoid(M_A(|z|) + theta), is computed on features up-sampled four
times. It weights the features that are averaged to an image embedding, and its mean over channels
tells the major categories from 'other' (eq. 7).
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from luss.errors import LussError
from luss.models.heads.projector import init_convolutions
from luss.registry import MODELS

__all__ = ["PixelAttention", "upsample"]

SCALE = 4
_SMALLEST_NORM = 1e-12


def upsample(features: Tensor, scale: int = SCALE) -> Tensor:
    """Up-sample a feature map bilinearly (``align_corners=False``), in single precision.

    Args:
        features: (N, L, h, w), floating point.
        scale: the factor of both sides.

    Returns:
        (N, L, scale * h, scale * w), float32 (float64 stays).
    """
    features = features.float() if features.dtype != torch.float64 else features
    return F.interpolate(features, scale_factor=scale, mode="bilinear", align_corners=False)


@MODELS.register_module()
class PixelAttention(BaseModule):
    """The attention c(z) of eq. (6) and what is pooled with it.

    M_A is Conv1x1(L, L), BN, ReLU, Conv1x1(L, L), BN; theta is one number per channel, zero at
    first. The parameter names are those of the released code. All methods take the backbone's last
    feature map as it is, (N, L, h, w), and up-sample it themselves.

    Args:
        channels: L, the channels of the feature map.
        shared: one attention map for all channels instead of one for each (table 10c).
        init_cfg: MMEngine's initialisation, on top of the released code's: convolutions are drawn
            Kaiming-normal, fan-out, their biases and the batch norms keep PyTorch's default.
    """

    def __init__(self, channels: int, shared: bool = False, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if channels < 1:
            raise LussError(
                f"PixelAttention: channels is {channels}; give the channels of the backbone's last "
                "feature map (512 for ResNet-18, 2048 for ResNet-50)"
            )
        self.channels = channels
        maps = 1 if shared else channels
        self.atten = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, maps, 1),
            nn.BatchNorm2d(maps),
        )
        self.threshold = nn.Parameter(torch.zeros(1, maps, 1, 1))
        init_convolutions(self)

    def forward(self, features: Tensor) -> Tensor:
        """The pooled feature to train on: see :meth:`pool_normalised`."""
        return self.pool_normalised(features)

    def attention(self, features: Tensor) -> Tensor:
        """The attention maps c(z).

        Args:
            features: the backbone's last feature map (N, L, h, w).

        Returns:
            (N, L, 4h, 4w) in (0, 1); (N, 1, 4h, 4w) if shared.
        """
        return self._attention(features, _norm(upsample(features)))

    def mean_attention(self, features: Tensor) -> Tensor:
        """The mean of c(z) over channels, the left side of eq. (7).

        Args:
            features: the backbone's last feature map (N, L, h, w).

        Returns:
            (N, 1, 4h, 4w) in (0, 1).
        """
        return self.attention(features).mean(dim=1, keepdim=True)

    def pool_normalised(self, features: Tensor) -> Tensor:
        """The spatial mean of c(z) * z, z of length one at every pixel (training, step 2.1).

        Args:
            features: the backbone's last feature map (N, L, h, w).

        Returns:
            (N, L), not normalised.
        """
        return self._pool_normalised(features)[0]

    def pool_normalised_with_mean(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`pool_normalised` and :meth:`mean_attention`, of one pass.

        Args:
            features: the backbone's last feature map (N, L, h, w).

        Returns:
            (N, L) and (N, 1, 4h, 4w).
        """
        pooled, attention = self._pool_normalised(features)
        return pooled, attention.mean(dim=1, keepdim=True)

    def _pool_normalised(self, features: Tensor) -> tuple[Tensor, Tensor]:
        upsampled = upsample(features)
        norm = _norm(upsampled)
        attention = self._attention(features, norm)
        # The norm joins the (often fewer) attention maps, so that no normalised copy is made.
        return _weighted_mean(upsampled, attention / norm), attention

    def pool_raw(self, features: Tensor, foreground: Tensor | None = None) -> Tensor:
        """The spatial mean of c(z) * z, z as up-sampled from the backbone (clustering, step 2.2).

        The attention is computed from normalised features all the same.

        Args:
            features: the backbone's last feature map (N, L, h, w).
            foreground: (N, 1, 4h, 4w) in [0, 1], by which pixels are weighted on top.

        Returns:
            (N, L), not normalised.
        """
        upsampled = upsample(features)
        attention = self._attention(features, _norm(upsampled))
        return _weighted_mean(
            upsampled, attention if foreground is None else attention * foreground
        )

    def _attention(self, features: Tensor, norm: Tensor) -> Tensor:
        """c(z) from the raw feature map and the norm (N, 1, 4h, 4w) of its up-sampled pixels.

        The first convolution is linear and works pixel by pixel, so it commutes with up-sampling
        and with the division by the norm: it runs at a sixteenth of the pixels.
        """
        if features.shape[1] != self.channels:
            raise LussError(
                f"PixelAttention: the feature map has shape {tuple(features.shape)}, expected "
                f"{self.channels} channels; set channels={features.shape[1]} or change the backbone"
            )
        first, *rest = self.atten
        hidden = upsample(F.conv2d(features, first.weight)) / norm + first.bias.view(1, -1, 1, 1)
        for layer in rest:
            hidden = layer(hidden)
        return torch.sigmoid(hidden.to(norm.dtype) + self.threshold)


def _norm(upsampled: Tensor) -> Tensor:
    """L2 norm over channels (N, 1, H, W), kept away from zero as in ``F.normalize``."""
    return upsampled.norm(dim=1, keepdim=True).clamp_min(_SMALLEST_NORM)


def _weighted_mean(features: Tensor, weights: Tensor) -> Tensor:
    """Spatial mean (N, L) of features (N, L, H, W) times weights (N, L or 1, H, W)."""
    return (features * weights).mean(dim=(2, 3))
