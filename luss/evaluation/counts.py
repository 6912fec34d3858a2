"""Sums over images, from which all metrics and matches are computed.

Counts can be added across images, workers and ranks, and a match of generated to true ids can be
applied to the sums. `luss.evaluation.metrics` computes metrics from them.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError

__all__ = [
    "F_BETA_UNIT",
    "LARGEST_CLASS",
    "LARGEST_GENERATED",
    "SIZE_GROUPS",
    "SIZE_LIMITS",
    "Counts",
    "ImageCounts",
    "check_evaluated",
    "check_numbers",
]

LARGEST_CLASS = IGNORE_ID - 1
"""Largest number of true classes, since the next id means 'ignored'."""

LARGEST_GENERATED = 0xFFFF
"""Largest number of generated classes, limited by the encoding of masks."""

SIZE_GROUPS = ("S", "MS", "ML", "L")
"""Names of the object-size groups."""

SIZE_LIMITS = (5, 25, 50)
"""Upper limits of all groups but the last, in percent of an image's evaluated pixels."""

F_BETA_UNIT = 1 << 40
"""F_beta is summed as integers in 1 / this unit, so the order of addition does not matter."""


def check_numbers(num_classes: int, num_generated: int | None = None) -> None:
    """Check that masks can encode these numbers of classes.

    Args:
        num_classes: C, true classes without 'other'.
        num_generated: G, by default C.

    Raises:
        LussError: unless C is in 1..999 and G in 1..65535.
    """
    if not 1 <= num_classes <= LARGEST_CLASS:
        raise LussError(
            f"the number of classes is {num_classes}. Expected 1..{LARGEST_CLASS}, without 'other' "
            f"and 'ignored' ({IGNORE_ID})"
        )
    if num_generated is not None and not 1 <= num_generated <= LARGEST_GENERATED:
        raise LussError(
            f"the number of generated categories is {num_generated}. Expected "
            f"1..{LARGEST_GENERATED}"
        )


def check_evaluated(pixels: np.ndarray, images: int) -> None:
    """Check that at least one pixel can be evaluated.

    Args:
        pixels: counts of evaluated pixels, of any shape.
        images: number of images.

    Raises:
        LussError: if there are no images, or all their pixels are ignored.
    """
    if not images:
        raise LussError("no image was counted. Check that the split is not empty")
    if not pixels.any():
        raise LussError(
            f"every true pixel of all {images} images is ignored (id {IGNORE_ID}), so nothing can "
            "be evaluated. Check the true masks"
        )


@dataclass(frozen=True)
class ImageCounts:
    """Contribution of one image to `Counts`.

    Attributes:
        shape: shape of the confusion.
        index: (n,) int64 distinct positions in the flat confusion.
        count: (n,) int64 pixels at each position.
        occurring: (o,) predicted ids, with 0; if boundaries are counted, also in ignored pixels,
            which affect boundaries.
        predicted: (p,) ids in the prediction's evaluated pixels, without 0.
        true: (t,) ids in the truth, without 0.
        top: predicted ids, without 0, with the largest area; several in a tie, none if only 'other'
            was predicted.
        f_beta: F_beta of the image in units of 1 / ``F_BETA_UNIT``.
    """

    shape: tuple[int, ...]
    index: np.ndarray
    count: np.ndarray
    occurring: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    top: np.ndarray
    f_beta: int


@dataclass
class Counts:
    """Sums over images, with G generated (predicted) and C true classes besides 'other'.

    Attributes:
        confusion: (2, 5, G+2, C+2) int64. First axis: all pixels, boundary pixels (omitted without
            boundaries). Second: all sizes, then the `SIZE_GROUPS`. Then pixels by predicted and
            true id; the last row and column are 'in no boundary'.
        cooccurrence: (G+1, C+1) int64, images with a predicted and a true id.
        top: (G+1, C+1) int64, images with a largest predicted class and a true id; only images
            with a single largest class.
        occurrence: (G+1,) int64, images whose prediction contains the id; if boundaries are
            counted, also where the truth is ignored.
        ties: images by (largest predicted classes, true classes), if several are largest.
        f_beta: sum of F_beta over images in units of 1 / ``F_BETA_UNIT``.
        images: number of images.
    """

    confusion: np.ndarray
    cooccurrence: np.ndarray
    top: np.ndarray
    occurrence: np.ndarray
    ties: Counter = field(default_factory=Counter)
    f_beta: int = 0
    images: int = 0

    @classmethod
    def zeros(
        cls, num_classes: int, num_generated: int | None = None, boundary: bool = True
    ) -> "Counts":
        """Return the counts of no image.

        Args:
            num_classes: C, true classes without 'other'.
            num_generated: G, by default C.
            boundary: whether to count boundaries.

        Raises:
            LussError: see `check_numbers`.
        """
        check_numbers(num_classes, num_generated)
        generated = num_classes if num_generated is None else num_generated
        shape = (1 + boundary, 1 + len(SIZE_GROUPS), generated + 2, num_classes + 2)
        square = (generated + 1, num_classes + 1)
        confusion, met, top = (np.zeros(sides, np.int64) for sides in (shape, square, square))
        return cls(confusion, met, top, np.zeros(generated + 1, np.int64))

    @property
    def num_classes(self) -> int:
        """C, true classes without 'other'."""
        return self.cooccurrence.shape[1] - 1

    @property
    def num_generated(self) -> int:
        """G, generated classes without 'other'."""
        return self.cooccurrence.shape[0] - 1

    @property
    def boundary(self) -> bool:
        """Whether boundaries were counted."""
        return len(self.confusion) == 2

    @property
    def overlap(self) -> np.ndarray:
        """(G, C) int64, pixels that a generated and a true class share, without 'other'."""
        return self.confusion[0, 0, 1:-1, 1:-1]

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All sums that are arrays."""
        return self.confusion, self.cooccurrence, self.top, self.occurrence

    def add(self, image: ImageCounts) -> None:
        """Add one image's counts in place."""
        if image.shape != self.confusion.shape:
            raise LussError(f"counts of {image.shape} cannot be added to {self.confusion.shape}")
        # Positions are distinct, so plain indexing adds each of them.
        self.confusion.reshape(-1)[image.index] += image.count
        self.occurrence[image.occurring] += 1
        self.cooccurrence[np.ix_(image.predicted, image.true)] += 1
        if len(image.top) == 1:
            self.top[image.top[0], image.true] += 1
        elif len(image.top) > 1:
            self.ties[tuple(image.top.tolist()), tuple(image.true.tolist())] += 1
        self.f_beta += image.f_beta
        self.images += 1

    def __iadd__(self, other: "Counts") -> "Counts":
        if not isinstance(other, Counts):
            return NotImplemented
        if other.confusion.shape != self.confusion.shape:
            raise LussError(
                f"counts of {other.num_generated} generated and {other.num_classes} true classes "
                f"(boundary: {other.boundary}) cannot be added to counts of "
                f"{self.num_generated} and {self.num_classes} (boundary: {self.boundary})"
            )
        for array, more in zip(self.arrays, other.arrays, strict=True):
            array += more
        self.ties.update(other.ties)
        self.f_beta += other.f_beta
        self.images += other.images
        return self

    def __add__(self, other: "Counts") -> "Counts":
        if not isinstance(other, Counts):
            return NotImplemented
        total = Counts.zeros(self.num_classes, self.num_generated, self.boundary)
        total += self
        total += other
        return total

    def can_match(self, match: np.ndarray) -> bool:
        """Return whether a match can be applied to the sums.

        It cannot if it joins ids that occur (such as unmatched ids that become 'other'), since that
        changes boundaries and largest classes. Count the matched predictions instead.
        """
        occurs = self.occurrence > 0
        occurs[0] = True
        used = np.asarray(match)[occurs]
        return len(np.unique(used)) == len(used)

    def matched(self, match: np.ndarray) -> "Counts":
        """Return the counts of predictions with the match applied.

        Args:
            match: (G+1,) true id of each generated id, ``match[0] == 0``.

        Raises:
            LussError: if the match does not fit, or joins ids that occur (see `can_match`).
        """
        match = np.asarray(match)
        classes = self.num_classes
        if match.shape != (self.num_generated + 1,) or match.min() < 0 or match.max() > classes:
            raise LussError(
                f"the match has {match.shape} ids in {match.min()}..{match.max()}. Expected "
                f"{self.num_generated + 1} ids in 0..{classes} for {self.num_generated} generated "
                f"and {classes} true classes"
            )
        if not self.can_match(match):
            raise LussError(
                "the match maps several generated ids that occur to one true id, which cannot be "
                "applied to counts. Apply the match to the predictions and count them again"
            )
        result = Counts.zeros(classes, classes, self.boundary)
        rows = np.append(match, classes + 1)
        # The view has predicted ids first, the only axis that a match changes.
        np.add.at(np.moveaxis(result.confusion, 2, 0), rows, np.moveaxis(self.confusion, 2, 0))
        np.add.at(result.cooccurrence, match, self.cooccurrence)
        np.add.at(result.top, match, self.top)
        np.add.at(result.occurrence, match, self.occurrence)
        for (tops, true), images in self.ties.items():
            result.ties[tuple(sorted(match[list(tops)].tolist())), true] += images
        result.f_beta, result.images = self.f_beta, self.images
        return result
