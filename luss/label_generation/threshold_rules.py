"""Rules that choose the foreground threshold tau (PASS, section 4.3, step 2.3).

``reads`` selects the photos of a rule. Their maps are added image by image to the rule's counter
(``+=`` adds the counters of several processes), from which the rule chooses the threshold.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.label_generation.threshold_file import Threshold
from luss.label_generation.threshold_search import THRESHOLDS, ThresholdSearch, attention_level
from luss.registry import MATCHERS, THRESHOLD_RULES

__all__ = [
    "AttentionHistogram",
    "GivenThreshold",
    "OtsuThreshold",
    "ThresholdRule",
    "ValidationThreshold",
    "between_class_variance",
    "otsu_threshold",
    "threshold_rule",
]


class ThresholdRule(ABC):
    """Base class of threshold rules."""

    reads: Literal["validation", "train"] | None = None
    """Split whose photos are counted; those of validation have masks."""

    def counter(self, thresholds: tuple[float, ...], num_categories: int, num_classes: int) -> Any:
        """Create a counter with ``add(foreground, ids, truth)``, see ``ThresholdSearch``.

        Args:
            thresholds: ascending candidates.
            num_categories: G, generated ids.
            num_classes: C, true classes; 0 if no masks are read.
        """
        return None

    @abstractmethod
    def choose(self, counted: Any) -> Threshold:
        """Choose from the sum of all processes' counters; from None if nothing is read."""

    def of_image(self, foreground: NDArray[np.float32], chosen: Threshold) -> float:
        """Return the threshold of one photo with map (H, W)."""
        assert chosen.value is not None, "only rules with of_image() choose no common threshold"
        return chosen.value


@THRESHOLD_RULES.register_module()
class GivenThreshold(ThresholdRule):
    """A given threshold.

    Args:
        value: tau, in 0..1.

    Raises:
        LussError: if it is not a number in 0..1.
    """

    def __init__(self, value: float) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise LussError(f"threshold is {value!r}, expected a number in 0..1, or None")
        self.value = value

    def choose(self, counted: None) -> Threshold:
        """Return the given threshold."""
        return Threshold(self.value, "given")


@THRESHOLD_RULES.register_module()
class ValidationThreshold(ThresholdRule):
    """The threshold of the best mIoU on validation masks, as in the released code.

    Args:
        matcher: config of one of ``MATCHERS``, to match clusters at each threshold; by default
            ``ImageLevelMatcher``. With that of the stage that evaluates the labels, both report the
            same mIoU.

    Raises:
        LussError: if the matcher needs more counts than the search has.
    """

    reads = "validation"

    def __init__(self, matcher: dict | None = None) -> None:
        self.config = dict(matcher or {"type": "ImageLevelMatcher"})
        self.matcher = MATCHERS.build(dict(self.config))
        # Rejects an unsuitable matcher before training starts.
        self.counter((0.0,), 1, 1)

    def counter(
        self, thresholds: tuple[float, ...], num_categories: int, num_classes: int
    ) -> ThresholdSearch:
        """Create a search over all thresholds."""
        return ThresholdSearch(num_classes, num_categories, thresholds, self.matcher)

    def choose(self, counted: ThresholdSearch) -> Threshold:
        """Return the lowest of the best thresholds."""
        curve = counted.curve()
        scores = (100 * curve.miou).tolist()
        tried = curve.thresholds.tolist()
        found = curve.threshold, "validation mIoU", tried, scores, "mIoU, %"
        return Threshold(*found, matcher=self.config)


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


@THRESHOLD_RULES.register_module()
class OtsuThreshold(ThresholdRule):
    """Otsu's threshold, which needs no mask.

    N. Otsu, 'A Threshold Selection Method from Gray-Level Histograms', 1979: the best threshold
    maximises the variance between the means of the two sides.

    Args:
        over: ``'set'`` for one threshold, from all training photos; ``'image'`` for one threshold
            per photo, from its map. A photo with a constant map is 'other', unless the map is 1 as
            that of ``WholePhoto``.
    """

    def __init__(self, over: Literal["set", "image"] = "set") -> None:
        if over not in ("set", "image"):
            raise LussError(f"OtsuThreshold: over is {over!r}, expected 'set' or 'image'")
        self.over = over
        self.reads = "train" if over == "set" else None

    def counter(
        self, thresholds: tuple[float, ...], num_categories: int, num_classes: int
    ) -> AttentionHistogram:
        """Create a histogram with the candidates as edges."""
        return AttentionHistogram(thresholds)

    def choose(self, counted: AttentionHistogram | None) -> Threshold:
        """Return the threshold of the largest between-class variance; no value if per image."""
        if counted is None:
            return Threshold(None, "Otsu, for each image")
        scores = between_class_variance(counted).tolist()
        tried = list(counted.thresholds)
        return Threshold(otsu_threshold(counted), "Otsu", tried, scores, "between-class variance")

    def of_image(self, foreground: NDArray[np.float32], chosen: Threshold) -> float:
        """Return the common threshold, or that of this map."""
        if self.over == "set":
            return super().of_image(foreground, chosen)
        # A constant map may be stored in two neighbouring levels.
        if np.ptp(foreground) < 1.5 / 255:
            return 1 - 0.5 / 255
        histogram = AttentionHistogram(_ALL)
        histogram.add(foreground)
        return otsu_threshold(histogram)


_ALL = tuple(step / 255 for step in range(256))


def threshold_rule(setting: float | dict, matcher: dict | None = None) -> ThresholdRule:
    """Return the rule of a setting.

    Args:
        setting: a fixed tau, or the config of one of ``THRESHOLD_RULES``.
        matcher: of a ``ValidationThreshold`` that names none.
    """
    if not isinstance(setting, Mapping):
        return GivenThreshold(setting)
    kind = setting.get("type")
    kind = THRESHOLD_RULES.get(kind) if isinstance(kind, str) else kind
    if matcher is not None and isinstance(kind, type) and issubclass(kind, ValidationThreshold):
        setting = {"matcher": matcher, **setting}
    return THRESHOLD_RULES.build(dict(setting))
