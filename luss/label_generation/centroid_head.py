"""The nearest centroid as a segmentor, without training."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.foreground.frame_distance import frame_distance
from luss.models.segmentors import PassHead
from luss.registry import MODELS

__all__ = ["CentroidHead", "centroid_logits", "relative_frame_distance"]

_SHARPNESS = 20.0
"""Factor from differences of scores and foreground to differences of logits."""

_SMALLEST = 1e-12


def relative_frame_distance(maps: Sequence[Tensor], frame: float = 0.06) -> Tensor:
    """Compute the distance of features to the photo's frame, scaled to 0..1 in each image.

    Args:
        maps: feature maps (N, L_m, h_m, w_m) of the same images, whose distances are averaged at
            the resolution of the finest one.
        frame: see :func:`frame_distance`.

    Returns:
        (N, 1, h, w) float32 in [0, 1]; zeros where all distances of an image are equal.
    """
    finest = max((one.shape[2:] for one in maps), key=lambda size: size[0] * size[1])
    distances = [
        F.interpolate(frame_distance(one, frame)[:, None], size=finest, mode="bilinear")
        for one in maps
    ]
    mean = torch.cat(distances, dim=1).mean(dim=1, keepdim=True)
    lowest = mean.amin(dim=(2, 3), keepdim=True)
    width = mean.amax(dim=(2, 3), keepdim=True) - lowest
    return (mean - lowest) / width.clamp_min(_SMALLEST)


def centroid_logits(scores: Tensor, foreground: Tensor, threshold: Tensor | float) -> Tensor:
    """Compute logits whose largest is that of 'other' where the foreground is below the threshold.

    Elsewhere it is that of the category of the largest score.

    Args:
        scores: (N, C, h, w), or (N, C, 1, 1) for one category per image.
        foreground: (N, 1, h, w) in [0, 1].
        threshold: in [0, 1].

    Returns:
        (N, C + 1, h, w) float32, 'other' first with logit 0.
    """
    behind = scores - scores.amax(dim=1, keepdim=True)
    categories = _SHARPNESS * (behind + foreground - threshold)
    return torch.cat([torch.zeros_like(foreground), categories], dim=1)


@MODELS.register_module()
class CentroidHead(PassHead):
    """Head that predicts the category of the nearest centroid, and 'other' near the frame's mean.

    A pixel is 'other' where :func:`relative_frame_distance` is below the threshold. So it predicts
    the labels that label generation writes with ``foreground=dict(type="FrameDistance")`` and
    ``writer=dict(type="ImageLabels", over_foreground=True)``, or ``PixelLabels``. A
    :class:`luss.engine.loops.CentroidLoop` fills in centroids and threshold; nothing is trained.

    Args:
        in_channels: L, the channels of the backbone's last feature map.
        num_classes: C + 1, including 'other'.
        by: ``'image'`` for the centroid nearest to the features that are pooled over the
            foreground of the image; ``'pixel'`` for the one nearest to the features of each pixel.
        maps: positions of the feature maps for the distance to the frame, as in ``FrameDistance``.
        frame: thickness of the frame as a fraction of the short side.
        **kwargs: see :class:`PassHead`.

    Raises:
        LussError: if ``by`` is another value.
    """

    distance_threshold: Tensor

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        by: Literal["image", "pixel"] = "image",
        maps: Sequence[int] | None = None,
        frame: float = 0.06,
        **kwargs,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        if by not in ("image", "pixel"):
            raise LussError(f"CentroidHead: by is {by!r}, expected 'image' or 'pixel'")
        self.by = by
        self.maps = maps
        self.frame = frame
        self.register_buffer("distance_threshold", torch.tensor(0.5))

    @torch.no_grad()
    def fill(self, centroids: Tensor, threshold: float) -> None:
        """Set centroids and threshold.

        The nearest centroid c of x has the largest score c x - c^2 / 2, which is a convolution.

        Args:
            centroids: (C, L) float32, of embeddings of unit length.
            threshold: of the relative distance to the frame, in [0, 1].

        Raises:
            LussError: if the numbers of categories or channels differ.
        """
        weight = self.conv_seg.weight
        expected = (self.num_classes - 1, self.in_channels)
        if tuple(centroids.shape) != expected:
            raise LussError(
                f"CentroidHead: centroids have shape {tuple(centroids.shape)}, but the head has "
                f"{expected[0]} categories and {expected[1]} channels; recompute the centroids "
                "with this backbone"
            )
        weight.zero_()
        weight[1:, :, 0, 0] = centroids.to(weight)
        self.conv_seg.bias.zero_()
        self.conv_seg.bias[1:] = -centroids.to(weight).square().sum(dim=1) / 2
        self.distance_threshold.fill_(threshold)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return logits (N, C + 1, h, w) at the resolution of the finest map of the foreground.

        Args:
            inputs: feature maps of the backbone, shallow to deep.
        """
        foreground = relative_frame_distance(self._chosen(inputs), self.frame)
        features = self._transform_inputs(inputs).float()
        size = foreground.shape[2:]
        if self.by == "image":
            features = F.interpolate(features, size=size, mode="bilinear")
            features = (features * foreground).sum(dim=(2, 3), keepdim=True)
        scores = self.conv_seg(F.normalize(features, dim=1))[:, 1:]
        if self.by == "pixel":
            scores = F.interpolate(scores, size=size, mode="bilinear")
        return centroid_logits(scores, foreground, self.distance_threshold)

    def _chosen(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        if self.maps is None:
            return list(inputs[-2:])
        return [inputs[position] for position in self.maps]
