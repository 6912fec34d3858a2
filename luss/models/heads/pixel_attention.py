"""Pixel attention (PASS, section 4.3): weights of pixels and channels for an image's category.

The attention of eq. (6), c(z) = sigmoid(M_A(|z|) + theta), is computed on features up-sampled four
times. It weights the features that are averaged to an image embedding, and its mean over channels
separates the major categories from 'other' (eq. 7).
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from luss.errors import LussError
from luss.models.heads.projector import init_convolutions
from luss.registry import MODELS
from luss.structures import at_least_float32

__all__ = ["PixelAttention", "upsample"]

SCALE = 4
_SMALLEST_NORM = 1e-12


def upsample(features: Tensor, scale: int = SCALE) -> Tensor:
    """Up-sample a feature map bilinearly (``align_corners=False``), in single precision.

    Args:
        features: (N, L, h, w), floating point.
        scale: the factor of both sides.

    Returns:
        (N, L, scale * h, scale * w), float32 (float64 for float64).
    """
    features = at_least_float32(features)
    return F.interpolate(features, scale_factor=scale, mode="bilinear", align_corners=False)


@MODELS.register_module()
class PixelAttention(BaseModule):
    """The attention c(z) of eq. (6) and pooling with it.

    M_A is Conv1x1(L, L), BN, ReLU, Conv1x1(L, L), BN; theta is one number per channel, initially
    zero. Parameters are named as in the released code. All methods take the backbone's last feature
    map (N, L, h, w) and up-sample it themselves.

    Args:
        channels: L, the channels of the feature map.
        shared: use one attention map for all channels instead of one for each (table 10c).
        init_cfg: MMEngine's initialisation, applied after the released code's: convolutions are
            Kaiming-normal, fan-out; their biases and the batch norms keep PyTorch's default.
    """

    def __init__(self, channels: int, shared: bool = False, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if channels < 1:
            raise LussError(
                f"PixelAttention: channels is {channels}, expected those of the backbone's last "
                "feature map (512 for ResNet-18, 2048 for ResNet-50); correct or remove it"
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
        """Return the pooled feature for training, see :meth:`pool_normalised`."""
        return self.pool_normalised(features)

    def attention(self, features: Tensor) -> Tensor:
        """Compute the attention maps c(z).

        Args:
            features: the backbone's last feature map (N, L, h, w).

        Returns:
            (N, L, 4h, 4w) in (0, 1); (N, 1, 4h, 4w) if shared.
        """
        return self._attention(features, _norm(upsample(features)))

    def mean_attention(self, features: Tensor) -> Tensor:
        """Compute the mean of c(z) over channels, the left side of eq. (7).

        Args:
            features: the backbone's last feature map (N, L, h, w).

        Returns:
            (N, 1, 4h, 4w) in (0, 1).
        """
        return self.attention(features).mean(dim=1, keepdim=True)

    def pool_normalised(self, features: Tensor) -> Tensor:
        """Compute the spatial mean of c(z) * z, with z of unit length per pixel (step 2.1).

        Args:
            features: the backbone's last feature map (N, L, h, w).

        Returns:
            (N, L), not normalised.
        """
        upsampled = upsample(features)
        norm = _norm(upsampled)
        attention = self._attention(features, norm)
        # Dividing the attention instead of the features saves a normalised copy of the features.
        return _weighted_mean(upsampled, attention / norm)

    def pool_raw(self, features: Tensor, foreground: Tensor | None = None) -> Tensor:
        """Compute the spatial mean of c(z) * z, with z not normalised (step 2.2).

        The attention itself is computed from normalised features.

        Args:
            features: the backbone's last feature map (N, L, h, w).
            foreground: (N, 1, 4h, 4w) in [0, 1], additional weights of the pixels.

        Returns:
            (N, L), not normalised.
        """
        upsampled = upsample(features)
        attention = self._attention(features, _norm(upsampled))
        return _weighted_mean(
            upsampled, attention if foreground is None else attention * foreground
        )

    def _attention(self, features: Tensor, norm: Tensor) -> Tensor:
        """Compute c(z) from the raw feature map and the norm (N, 1, 4h, 4w) after up-sampling.

        The first convolution is linear and pointwise, so it commutes with up-sampling and with the
        division by the norm: it runs on a sixteenth of the pixels.
        """
        if features.shape[1] != self.channels:
            raise LussError(
                f"PixelAttention: the feature map has shape {tuple(features.shape)}, expected "
                f"{self.channels} channels; set channels={features.shape[1]} or change the backbone"
            )
        first, *rest = self.atten
        assert isinstance(first, nn.Conv2d) and first.bias is not None
        hidden = upsample(F.conv2d(features, first.weight)) / norm + first.bias.view(1, -1, 1, 1)
        for layer in rest:
            hidden = layer(hidden)
        return torch.sigmoid(hidden.to(norm.dtype) + self.threshold)


def _norm(upsampled: Tensor) -> Tensor:
    """Compute the L2 norm over channels (N, 1, H, W), bounded below as in ``F.normalize``."""
    return upsampled.norm(dim=1, keepdim=True).clamp_min(_SMALLEST_NORM)


def _weighted_mean(features: Tensor, weights: Tensor) -> Tensor:
    """Compute the spatial mean (N, L) of features (N, L, H, W) times weights (N, L or 1, H, W)."""
    return (features * weights).mean(dim=(2, 3))
