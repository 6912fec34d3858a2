"""The attention threshold with the best validation mIoU, found in one pass over the images.

Pixels with mean attention below the threshold are 'other', others have their cluster's id (paper,
section 4.3). Pixels are counted by cluster, true class and the bin of their attention between two
thresholds; sums over bins are the counts at every threshold. The search uses validation masks, so
results based on it must state that.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.evaluation.counts import Counts, check_evaluated, check_numbers
from luss.evaluation.matching import ImageLevelMatcher
from luss.evaluation.metrics import matched_miou

__all__ = ["THRESHOLDS", "ThresholdCurve", "ThresholdSearch", "attention_level"]

THRESHOLDS = tuple(step / 100 for step in range(81))
"""The released search's thresholds: 0.00 to 0.80 in steps of 0.01."""

_LARGEST_ID = 0xFFFF


def attention_level(attention: np.ndarray, thresholds: ArrayLike) -> np.ndarray:
    """Return how many thresholds each value reaches (value >= threshold, compared in float32).

    Args:
        attention: floats of any shape, without NaN.
        thresholds: (K,) ascending.

    Returns:
        int64 in 0..K, of the attention's shape: a value is 'other' at threshold k (from 0) if and
        only if its level is at most k.

    Raises:
        LussError: if a value is NaN or the thresholds do not ascend.
    """
    edges = np.asarray(thresholds, np.float32)
    if edges.ndim != 1 or not edges.size or not (np.diff(edges) > 0).all():
        raise LussError("thresholds must be a list of ascending numbers that differ in float32")
    values = np.asarray(attention, np.float32)
    if np.isnan(values).any():
        raise LussError(
            "the attention contains NaN; lower the learning rate of the pixel-attention stage"
        )
    return np.searchsorted(edges, values, side="right")


@dataclass(frozen=True)
class ThresholdCurve:
    """Result of `ThresholdSearch`.

    Attributes:
        thresholds: (K,) float64.
        miou: (K,) float64 in 0..1, mean over C+1 classes, with a separate match per threshold.
        best: index of the first maximum of ``miou``.
    """

    thresholds: np.ndarray
    miou: np.ndarray
    best: int

    @property
    def threshold(self) -> float:
        """Return the lowest of the best thresholds."""
        return float(self.thresholds[self.best])


class ThresholdSearch:
    """Counts over images that determine the mIoU at every threshold.

    Memory depends on the number of pairs of cluster and true class that occur in one image, not on
    the number of images. ``+=`` adds a search over other images.

    Args:
        num_classes: C, true classes without 'other'.
        num_generated: G, number of clusters, by default C.
        thresholds: ascending candidates; a pixel is 'other' if its attention is strictly below,
            compared in float32.
        matcher: finds the match at each threshold, as for the predictions later; by default
            `ImageLevelMatcher`. Its `Counts` only have ``confusion[0, 0]``, ``cooccurrence`` and
            ``images``.

    Raises:
        LussError: see `luss.evaluation.counts.check_numbers`, and if the matcher needs more counts.
    """

    def __init__(
        self,
        num_classes: int,
        num_generated: int | None = None,
        thresholds: tuple[float, ...] = THRESHOLDS,
        matcher: Callable[[Counts], np.ndarray] | None = None,
    ) -> None:
        check_numbers(num_classes, num_generated)
        self.num_classes = num_classes
        self.num_generated = num_classes if num_generated is None else num_generated
        self.thresholds = np.asarray(thresholds, np.float64)
        self.matcher = ImageLevelMatcher() if matcher is None else matcher
        self.true_area = np.zeros(num_classes + 1, np.int64)
        self.images = 0
        # A cell is a pair of cluster and true class that occur in one image. It has two histograms
        # over attention levels: of pixels, and of images by the cluster's highest level.
        self._cell_of = np.full((self.num_generated + 1, num_classes + 1), -1, np.int32)
        self._cells = 0
        self._clusters = np.zeros(0, np.int32)
        self._true = np.zeros(0, np.int32)
        levels = len(self.thresholds) + 1
        self._pixels = np.zeros((0, levels), np.int64)
        self._presence = np.zeros((0, levels), np.int32)
        self._require_few_counts()

    def _require_few_counts(self) -> None:
        """Reject a matcher that reads other counts, before any photo is read."""
        nothing = np.zeros(0, np.int64)
        try:
            self.matcher(self._counts(nothing, nothing))
        except (AttributeError, IndexError, TypeError) as error:
            name = type(self.matcher).__name__
            raise LussError(
                f"{name} cannot match at every threshold: {error}. The threshold search only "
                "counts confusion[0, 0] and cooccurrence; set another matcher by "
                "stages.label_generation.test_cfg.threshold=dict(type='ValidationThreshold', "
                "matcher=dict(type='ImageLevelMatcher'))"
            ) from error

    def add(self, attention: np.ndarray, clusters: np.ndarray, truth: np.ndarray) -> None:
        """Add one image.

        Args:
            attention: (H, W) float, mean attention over channels.
            clusters: (H, W) integer ids of the nearest centroid, 1..G (0 is 'other').
            truth: (H, W) integer ids 0..C or ``IGNORE_ID``; ignored pixels are dropped.

        Raises:
            LussError: if shapes or ids do not fit, or the attention holds NaN.
        """
        if not attention.shape == clusters.shape == truth.shape:
            raise LussError(
                f"attention, clusters and truth must have the same shape, found {attention.shape}, "
                f"{clusters.shape} and {truth.shape}"
            )
        kept = truth.reshape(-1) != IGNORE_ID
        level = attention_level(attention.reshape(-1)[kept], self.thresholds)
        cluster, true = clusters.reshape(-1)[kept], truth.reshape(-1)[kept]
        for name, ids, largest in (
            ("cluster", cluster, self.num_generated),
            ("true", true, self.num_classes),
        ):
            if ids.size and (ids.min() < 0 or ids.max() > largest):
                raise LussError(
                    f"{name} ids are in {ids.min()}..{ids.max()}, expected 0..{largest}"
                )
        self.images += 1
        if not level.size:
            return
        cluster_ids, cluster = _compact(cluster, self.num_generated)
        true_ids, true = _compact(true, self.num_classes)
        levels = len(self.thresholds) + 1
        key = (cluster * len(true_ids) + true) * levels + level
        shape = (len(cluster_ids), len(true_ids), levels)
        table = np.bincount(key, minlength=np.prod(shape)).reshape(shape)
        self.true_area[true_ids] += table.sum(axis=(0, 2))
        cells = self._find(cluster_ids, true_ids)
        self._pixels[cells] += table
        highest = levels - 1 - (table.max(axis=1) > 0)[:, ::-1].argmax(axis=1)
        self._presence[cells, highest[:, None]] += 1

    def _find(self, clusters: np.ndarray, true: np.ndarray) -> np.ndarray:
        """Return the (p, t) cells of all pairs; create missing ones."""
        pairs = np.ix_(clusters, true)
        new = np.argwhere(self._cell_of[pairs] < 0)
        if len(new):
            self._make(clusters[new[:, 0]], true[new[:, 1]])
        return self._cell_of[pairs]

    def _make(self, clusters: np.ndarray, true: np.ndarray) -> None:
        total = self._cells + len(clusters)
        if total > len(self._pixels):
            room = min(max(total, len(self._pixels) * 3 // 2), self._cell_of.size)
            self._pixels = _grown(self._pixels, room)
            self._presence = _grown(self._presence, room)
            self._clusters = _grown(self._clusters, room)
            self._true = _grown(self._true, room)
        self._cell_of[clusters, true] = np.arange(self._cells, total)
        self._clusters[self._cells : total] = clusters
        self._true[self._cells : total] = true
        self._cells = total

    def __iadd__(self, other: "ThresholdSearch") -> "ThresholdSearch":
        if not isinstance(other, ThresholdSearch):
            return NotImplemented
        if other._cell_of.shape != self._cell_of.shape or not np.array_equal(
            other.thresholds, self.thresholds
        ):
            raise LussError("searches with different classes or thresholds cannot be added")
        clusters, true = other._clusters[: other._cells], other._true[: other._cells]
        new = self._cell_of[clusters, true] < 0
        self._make(clusters[new], true[new])
        cells = self._cell_of[clusters, true]
        self._pixels[cells] += other._pixels[: other._cells]
        self._presence[cells] += other._presence[: other._cells]
        self.true_area += other.true_area
        self.images += other.images
        return self

    def curve(self) -> ThresholdCurve:
        """Match at every threshold and compute mIoU.

        Raises:
            LussError: if no image was added, or all their pixels are ignored.
        """
        check_evaluated(self.true_area, self.images)
        pixels, presence = self._pixels[: self._cells], self._presence[: self._cells]
        area, images = pixels.sum(axis=1), presence.sum(axis=1)
        miou = np.zeros(len(self.thresholds))
        for k in range(len(self.thresholds)):
            # The remaining pixels reach threshold k.
            area, images = area - pixels[:, k], images - presence[:, k]
            counts = self._counts(area, images)
            miou[k] = matched_miou(counts.confusion[0, 0, :-1, :-1], self.matcher(counts))
        return ThresholdCurve(self.thresholds, miou, int(miou.argmax()))

    def _counts(self, area: np.ndarray, images: np.ndarray) -> Counts:
        """Build counts from each cell's number of foreground pixels and images."""
        generated, classes = self._cell_of.shape
        clusters, true = self._clusters[: self._cells], self._true[: self._cells]
        pixels = np.zeros((1, 1, generated + 1, classes + 1), np.int64)
        pixels[0, 0, clusters, true] = area
        # Pixels below the threshold are 'other'.
        pixels[0, 0, 0, :-1] += self.true_area - pixels[0, 0, :, :-1].sum(axis=0)
        met = np.zeros(self._cell_of.shape, np.int64)
        met[clusters, true] = images
        met[0] = met[:, 0] = 0
        unused = np.zeros(0, np.int64)
        return Counts(pixels, met, top=unused, occurrence=unused, images=self.images)


def _compact(ids: np.ndarray, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct ids, ascending, and each pixel's position among them, as int64."""
    ids = ids.astype(np.int64)
    present = np.bincount(ids, minlength=largest + 1) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[ids]


def _grown(rows: np.ndarray, length: int) -> np.ndarray:
    grown = np.zeros((length, *rows.shape[1:]), rows.dtype)
    grown[: len(rows)] = rows
    return grown
