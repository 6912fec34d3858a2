"""Quality of foreground maps at all thresholds, and the variation of attention.

Pixels are counted by levels of their values, so memory does not grow with the number of photos.
8-bit maps are counted without loss.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError

__all__ = ["LEVELS", "AttentionSpread", "ForegroundCounts", "attention_spread", "auc"]

LEVELS = 1 << 16
"""Number of levels of values. 65,535 is a multiple of 255, so 8-bit values stay distinct."""

_BETA_SQUARED = 0.3
_CURVE_POINTS = 101


def auc(foreground: ArrayLike, other: ArrayLike) -> float:
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
    return float(foreground @ (np.cumsum(other) - other / 2) / pairs)


class ForegroundCounts:
    """Sums over photos that determine the quality of a source of foreground.

    Args:
        levels: K, number of levels of values; 256 are enough for 8-bit maps.
    """

    def __init__(self, levels: int = LEVELS) -> None:
        self.foreground = np.zeros(levels, np.int64)
        self.other = np.zeros(levels, np.int64)
        self.f_beta = np.zeros(levels)
        self.aucs: list[float] = []
        self.deviations: list[float] = []

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
        self.aucs.append(auc(foreground, other))
        self.deviations.append(float(values.std()))

    def quality(self) -> dict[str, Any]:
        """Return the quality over the added photos.

        Returns:
            ``AUC within images``, the mean over photos that have both foreground and 'other', and
            ``AUC over images``, that of the pixels of all photos together: 0 to 1, None if
            undefined. ``best IoU`` of the foreground of all photos together and ``best F_beta``,
            the mean over photos with beta^2 = 0.3 as in ImageNet-S: percent, at the lowest best
            threshold, ``IoU threshold`` and ``F_beta threshold``. ``deviation``, the mean of the
            maps' standard deviations. ``curves``: ``IoU`` and ``F_beta`` at 101 ``thresholds``;
            pixels at or above a threshold are foreground.

        Raises:
            LussError: if no photo with evaluated pixels was added.
        """
        if not self.aucs:
            raise LussError("ForegroundCounts has no photo with evaluated pixels. Check the masks")
        hits = _at_or_above(self.foreground)
        union = _at_or_above(self.other) + self.foreground.sum()
        scores = {
            "IoU": 100 * hits / np.maximum(union, 1),
            "F_beta": 100 * self.f_beta / len(self.aucs),
        }
        largest = len(hits) - 1
        thresholds = np.linspace(0, 1, _CURVE_POINTS)
        # The lowest level at or above each threshold.
        places = np.ceil(thresholds * largest - 1e-9).astype(np.int64)
        defined = [value for value in self.aucs if not np.isnan(value)]
        over = auc(self.foreground, self.other)
        found: dict[str, Any] = {
            "AUC within images": float(np.mean(defined)) if defined else None,
            "AUC over images": None if np.isnan(over) else over,
        }
        for name, values in scores.items():
            best = int(values.argmax())
            found |= {f"best {name}": float(values[best]), f"{name} threshold": best / largest}
        curves = {name: values[places].tolist() for name, values in scores.items()}
        found["deviation"] = float(np.mean(self.deviations))
        return {**found, "curves": {"thresholds": thresholds.tolist(), **curves}}


def _at_or_above(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of pixels at or above each level."""
    return np.cumsum(histogram[::-1])[::-1]


class AttentionSpread(NamedTuple):
    """Variation of attention within a photo.

    Attributes:
        of_mean: standard deviation of the mean over channels.
        of_channels: (L,) standard deviation of each channel.
        correlation: mean correlation of pixels over all pairs of channels that are not constant.
    """

    of_mean: float
    of_channels: NDArray[np.float64]
    correlation: float


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
    return AttentionSpread(float(of_mean), deviations.cpu().numpy(), float(correlation))
