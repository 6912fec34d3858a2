"""Otsu's threshold of the mean attention, which needs no masks.

N. Otsu, 'A Threshold Selection Method from Gray-Level Histograms', 1979: the best threshold
maximises the variance between the means of the two sides.
"""

from dataclasses import dataclass, field

import numpy as np

from luss.errors import LussError
from luss.label_generation.threshold_search import THRESHOLDS, attention_level

__all__ = ["AttentionHistogram", "between_class_variance", "otsu_threshold"]


@dataclass
class AttentionHistogram:
    """Number and sum of attention values between thresholds; histograms add up (``+=``).

    Attributes:
        thresholds: (K,) ascending candidates.
        count: (K+1,) int64, number of values by how many thresholds they reach.
        total: (K+1,) float64, the sum of these values.
    """

    thresholds: tuple[float, ...] = THRESHOLDS
    count: np.ndarray = field(init=False)
    total: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.count = np.zeros(len(self.thresholds) + 1, np.int64)
        self.total = np.zeros(len(self.thresholds) + 1, np.float64)

    def add(self, attention: np.ndarray, ids: object = None, truth: object = None) -> None:
        """Add one image.

        Args:
            attention: float of any shape, mean attention over channels.
            ids: ignored, see ``ThresholdSearch.add``.
            truth: ignored.
        """
        values = np.asarray(attention).reshape(-1)
        level = attention_level(values, self.thresholds)
        self.count += np.bincount(level, minlength=len(self.count))
        self.total += np.bincount(level, values, minlength=len(self.count))

    def __iadd__(self, other: "AttentionHistogram") -> "AttentionHistogram":
        if not isinstance(other, AttentionHistogram):
            return NotImplemented
        if tuple(other.thresholds) != tuple(self.thresholds):
            raise LussError("histograms with different thresholds cannot be added")
        self.count += other.count
        self.total += other.total
        return self


def between_class_variance(histogram: AttentionHistogram) -> np.ndarray:
    """Return Otsu's criterion at every candidate.

    Background is strictly below the threshold.

    Returns:
        (K,) float64, the variance between the means of background and foreground, weighted by
        their shares of all pixels; 0 where a side is empty.

    Raises:
        LussError: if nothing was added to the histogram.
    """
    count, total = histogram.count, histogram.total
    if not count.sum():
        raise LussError("Otsu's threshold needs at least one attention map, found none")
    below, above = np.cumsum(count)[:-1], np.cumsum(count[::-1])[::-1][1:]
    sum_below, sum_above = np.cumsum(total)[:-1], np.cumsum(total[::-1])[::-1][1:]
    divided = (below > 0) & (above > 0)
    gap = sum_above / np.maximum(above, 1) - sum_below / np.maximum(below, 1)
    return np.where(divided, (below / count.sum()) * (above / count.sum()) * gap**2, 0.0)


def otsu_threshold(histogram: AttentionHistogram) -> float:
    """Return the candidate with the largest variance between background and foreground.

    On a tie, the first is returned. If no candidate separates the values, this is the lowest
    candidate, and all pixels are foreground or all are background.

    Raises:
        LussError: if nothing was added to the histogram.
    """
    return float(histogram.thresholds[int(np.argmax(between_class_variance(histogram)))])
