"""Quality of foreground maps at all thresholds.

Pixels are counted by levels of their values, so memory does not grow with the number of photos.
8-bit maps are counted without loss.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError

__all__ = [
    "LEVELS",
    "AttentionSpread",
    "ForegroundCounts",
    "ForegroundQuality",
    "attention_spread",
    "auc_from_histograms",
]

LEVELS = 1 << 16
"""Number of levels of values. 65,535 is a multiple of 255, so 8-bit values stay distinct."""

_BETA_SQUARED = 0.3
_CURVE_POINTS = 101


def auc_from_histograms(foreground: ArrayLike, other: ArrayLike) -> float:
    """Return the probability that a foreground pixel has a higher value than a pixel of 'other'.

    Equal values count half, as in the Mann-Whitney statistic.

    Args:
        foreground: (K,) counts of foreground pixels by ascending value.
        other: (K,) counts of pixels of 'other' by the same values.

    Returns:
        0 to 1; NaN if one of the two has no pixels.
    """
    foreground, other = np.asarray(foreground, np.float64), np.asarray(other, np.float64)
    pairs = foreground.sum() * other.sum()
    if not pairs:
        return float("nan")
    below = np.cumsum(other) - other / 2
    return float(foreground @ below / pairs)


@dataclass(frozen=True)
class ForegroundQuality:
    """Results of :class:`ForegroundCounts` as fractions; NaN if undefined.

    Attributes:
        auc_within: mean over photos of the AUC of their pixels, without photos that have only
            foreground or only 'other'.
        auc_over: AUC of the pixels of all photos together.
        deviation: mean over photos of the map's standard deviation.
        thresholds: (101,) from 0 to 1; pixels at or above a threshold are foreground.
        iou: (101,) IoU of the foreground of all photos together.
        f_beta: (101,) mean over photos of F_beta, beta^2 = 0.3, as in ImageNet-S.
        best_iou: the largest IoU over all levels, and the lowest threshold that reaches it.
        best_f_beta: as ``best_iou``, for F_beta.
    """

    auc_within: float
    auc_over: float
    deviation: float
    thresholds: NDArray[np.float64]
    iou: NDArray[np.float64]
    f_beta: NDArray[np.float64]
    best_iou: tuple[float, float]
    best_f_beta: tuple[float, float]


class ForegroundCounts:
    """Sums over photos, which can be added (``+=``).

    Args:
        levels: K, number of levels of values; 256 are enough for 8-bit maps.
    """

    def __init__(self, levels: int = LEVELS) -> None:
        if levels < 2:
            raise LussError(f"ForegroundCounts: levels is {levels}. Expected 2 or more")
        self.foreground = np.zeros(levels, np.int64)
        self.other = np.zeros(levels, np.int64)
        self.f_beta = np.zeros(levels)
        self.images = 0
        self.auc = 0.0
        self.images_with_auc = 0
        self.deviation = 0.0

    def add(self, values: NDArray[np.floating], truth: NDArray[np.integer]) -> None:
        """Add a photo.

        Args:
            values: (H, W) in [0, 1].
            truth: (H, W) ids, 0 is 'other'; pixels of ``IGNORE_ID`` are skipped.

        Raises:
            LussError: if shapes differ, or a value is not in [0, 1].
        """
        if values.shape != truth.shape:
            raise LussError(f"the map has shape {values.shape}, but the mask has {truth.shape}")
        kept = truth != IGNORE_ID
        values, inside = np.asarray(values, np.float64)[kept], truth[kept] > 0
        if not values.size:
            return
        if not (values.min() >= 0 and values.max() <= 1):
            raise LussError(
                f"the foreground map has values in {values.min()}..{values.max()}. Expected 0..1"
            )
        count = len(self.foreground)
        level = np.rint(values * (count - 1)).astype(np.int64)
        foreground = np.bincount(level[inside], minlength=count)
        other = np.bincount(level, minlength=count) - foreground
        self.foreground += foreground
        self.other += other
        hits, called = _at_or_above(foreground), _at_or_above(foreground + other)
        self.f_beta += (1 + _BETA_SQUARED) * hits / (_BETA_SQUARED * inside.sum() + called + 1e-12)
        self.images += 1
        self.deviation += float(values.std())
        auc = auc_from_histograms(foreground, other)
        if not np.isnan(auc):
            self.auc += auc
            self.images_with_auc += 1

    def __iadd__(self, more: "ForegroundCounts") -> "ForegroundCounts":
        if len(more.foreground) != len(self.foreground):
            raise LussError(
                f"ForegroundCounts with {len(more.foreground)} levels cannot be added to "
                f"{len(self.foreground)} levels"
            )
        for name, value in vars(more).items():
            setattr(self, name, getattr(self, name) + value)
        return self

    def quality(self) -> ForegroundQuality:
        """Return the quality of the added photos.

        Raises:
            LussError: if no photo with evaluated pixels was added.
        """
        if not self.images:
            raise LussError("ForegroundCounts has no photo with evaluated pixels. Check the masks")
        hits = _at_or_above(self.foreground)
        union = _at_or_above(self.other) + self.foreground.sum()
        iou = hits / np.maximum(union, 1)
        f_beta = self.f_beta / self.images
        largest = len(iou) - 1
        thresholds = np.linspace(0, 1, _CURVE_POINTS)
        # The lowest level at or above each threshold.
        places = np.ceil(thresholds * largest - 1e-9).astype(np.int64)

        def best(scores: NDArray[np.float64]) -> tuple[float, float]:
            place = int(scores.argmax())
            return float(scores[place]), place / largest

        return ForegroundQuality(
            auc_within=self.auc / self.images_with_auc if self.images_with_auc else float("nan"),
            auc_over=auc_from_histograms(self.foreground, self.other),
            deviation=self.deviation / self.images,
            thresholds=thresholds,
            iou=iou[places],
            f_beta=f_beta[places],
            best_iou=best(iou),
            best_f_beta=best(f_beta),
        )


def _at_or_above(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of pixels at or above each level."""
    return np.cumsum(histogram[::-1])[::-1]


@dataclass
class AttentionSpread:
    """Variation of attention within photos; sums over photos, which can be added (``+=``).

    Attributes:
        of_mean: standard deviation within a photo of the mean over channels.
        of_channels: (L,) standard deviation of each channel.
        correlation: mean correlation of pixels over all pairs of channels, without channels that
            are constant in a photo.
        images: number of photos.
    """

    of_mean: float = 0.0
    of_channels: NDArray[np.float64] | float = 0.0
    correlation: float = 0.0
    images: int = 0

    def __iadd__(self, more: "AttentionSpread") -> "AttentionSpread":
        for name, value in vars(more).items():
            setattr(self, name, getattr(self, name) + value)
        return self

    def mean(self) -> "AttentionSpread":
        """Return the means over photos."""
        images = max(1, self.images)
        return AttentionSpread(
            self.of_mean / images, self.of_channels / images, self.correlation / images, 1
        )


def attention_spread(attention: Tensor) -> AttentionSpread:
    """Return the variation of one photo's attention.

    The mean of channels with deviation s and mean correlation r has a deviation of about
    s * sqrt(r + (1 - r) / L), so a flat mean does not imply flat channels.

    Args:
        attention: (L, H, W).
    """
    maps = attention.detach().flatten(1).double()
    centred = maps - maps.mean(dim=1, keepdim=True)
    deviations = centred.square().mean(dim=1).sqrt()
    alive = deviations > 1e-7
    count = alive.sum().double()
    # The sum of correlations over all pairs is the squared sum of unit vectors minus L.
    unit = torch.where(alive[:, None], centred / deviations.clamp_min(1e-7)[:, None], 0.0)
    pairs = unit.sum(dim=0).square().mean() - count
    correlation = pairs / (count * (count - 1)).clamp_min(1)
    of_mean = centred.mean(dim=0).square().mean().sqrt()
    found = torch.cat([torch.stack([of_mean, correlation]), deviations]).cpu().numpy()
    return AttentionSpread(float(found[0]), found[2:], float(found[1]), 1)
