"""How the threshold tau of the foreground is chosen (PASS, section 4.3, step 2.3).

A rule states by ``reads`` which photos it has to see, makes a counter to which their maps are added
image by image (counters of several processes add up by ``+=``), and chooses from that.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.label_generation.otsu import AttentionHistogram, between_class_variance, otsu_threshold
from luss.label_generation.threshold_file import Threshold
from luss.label_generation.threshold_search import ThresholdSearch
from luss.registry import MATCHERS, THRESHOLD_RULES

__all__ = ["GivenThreshold", "OtsuThreshold", "ThresholdRule", "ValidationThreshold"]


class ThresholdRule(ABC):
    """A rule that chooses the threshold."""

    reads: ClassVar[Literal["validation", "train"] | None] = None
    """Split whose photos are counted; those of validation come with their masks."""

    def counter(self, thresholds: tuple[float, ...], num_categories: int, num_classes: int) -> Any:
        """What photos are added to, by ``add(foreground, ids, truth)``; see ``ThresholdSearch``.

        Args:
            thresholds: ascending candidates.
            num_categories: G, generated ids.
            num_classes: C, true classes; 0 where no masks are read.
        """
        return None

    @abstractmethod
    def choose(self, counted: Any) -> Threshold:
        """Choose from the counter of all processes together; from None if nothing is read."""

    def of_image(self, foreground: NDArray[np.float32], chosen: Threshold) -> float:
        """The threshold of one photo, by its map (H, W)."""
        return chosen.value


@THRESHOLD_RULES.register_module()
class GivenThreshold(ThresholdRule):
    """A threshold that is known.

    Args:
        value: tau, in 0..1.

    Raises:
        LussError: if it is no such number.
    """

    def __init__(self, value: float) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise LussError(f"threshold is {value!r}, expected a number in 0..1, or None")
        self.value = value

    def choose(self, counted: None) -> Threshold:
        """The threshold that was given."""
        return Threshold(self.value, "given")


@THRESHOLD_RULES.register_module()
class ValidationThreshold(ThresholdRule):
    """The threshold of the best mIoU on validation masks, as in the released code.

    Args:
        matcher: config of one of ``MATCHERS``, by which clusters are matched at each threshold. By
            default that of the stage that evaluates these labels, so that both mIoU are one; where
            there is none, ``ImageLevelMatcher``.

    Raises:
        LussError: if the matcher needs more counts than the search has.
    """

    reads = "validation"

    def __init__(self, matcher: dict | None = None) -> None:
        self.config = dict(matcher or {"type": "ImageLevelMatcher"})
        self.matcher = MATCHERS.build(dict(self.config))
        # Rejects a matcher that does not fit before hours pass.
        self.counter((0.0,), 1, 1)

    def counter(
        self, thresholds: tuple[float, ...], num_categories: int, num_classes: int
    ) -> ThresholdSearch:
        """A search over all thresholds at once."""
        return ThresholdSearch(num_classes, num_categories, thresholds, self.matcher)

    def choose(self, counted: ThresholdSearch) -> Threshold:
        """The lowest of the best thresholds."""
        curve = counted.curve()
        scores = (100 * curve.miou).tolist()
        tried = curve.thresholds.tolist()
        found = curve.threshold, "validation mIoU", tried, scores, "mIoU, %"
        return Threshold(*found, matcher=self.config)


class _Histogram(AttentionHistogram):
    """A histogram that looks at the map alone."""

    def add(self, foreground: NDArray, ids: NDArray, truth: None = None) -> None:
        super().add(foreground)


@THRESHOLD_RULES.register_module()
class OtsuThreshold(ThresholdRule):
    """Otsu's threshold, which needs no mask.

    Args:
        over: ``'set'`` for one threshold, from all training photos; ``'image'`` for one of each
            photo, from its own map. A flat map shows no object: its photo is 'other', unless the
            map is 1, as that of ``WholePhoto``.
    """

    def __init__(self, over: Literal["set", "image"] = "set") -> None:
        if over not in ("set", "image"):
            raise LussError(f"OtsuThreshold: over is {over!r}, expected 'set' or 'image'")
        self.over = over
        self.reads = "train" if over == "set" else None

    def counter(
        self, thresholds: tuple[float, ...], num_categories: int, num_classes: int
    ) -> AttentionHistogram:
        """A histogram of values between the candidates."""
        return _Histogram(thresholds)

    def choose(self, counted: AttentionHistogram | None) -> Threshold:
        """The threshold of the largest variance between both sides; None if each image has one."""
        if counted is None:
            return Threshold(None, "Otsu, for each image")
        scores = between_class_variance(counted).tolist()
        tried = list(counted.thresholds)
        return Threshold(otsu_threshold(counted), "Otsu", tried, scores, "between-class variance")

    def of_image(self, foreground: NDArray[np.float32], chosen: Threshold) -> float:
        """The set's threshold, or that of this map alone."""
        if self.over == "set":
            return chosen.value
        # A map of one value may be stored in two neighbouring levels.
        if np.ptp(foreground) < 1.5 / 255:
            return 1 - 0.5 / 255
        histogram = AttentionHistogram(_ALL)
        histogram.add(foreground)
        return otsu_threshold(histogram)


_ALL = tuple(step / 255 for step in range(256))
