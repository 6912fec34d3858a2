"""Sums over images, from which every metric and the matching follow.

The counts of images add up, across workers and ranks too, and a match of generated to true ids
can be applied to the sums afterwards; `luss.evaluation.metrics` turns the sums into metrics.
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
"""Largest possible number of true classes: the next id is 'ignored'."""

LARGEST_GENERATED = 0xFFFF
"""Largest possible number of generated classes: what the encoding of masks holds."""

SIZE_GROUPS = ("S", "MS", "ML", "L")
"""Names of the object-size groups."""

SIZE_LIMITS = (5, 25, 50)
"""Largest percentages of an image's evaluated pixels that the groups but the last reach up to."""

F_BETA_UNIT = 1 << 40
"""F_beta is summed as an integer in this fraction, so that no order of adding changes a bit."""


def check_numbers(num_classes: int, num_generated: int | None = None) -> None:
    """Refuse numbers of classes that masks cannot hold.

    Args:
        num_classes: C, true classes without 'other'.
        num_generated: G, by default C.

    Raises:
        LussError: unless C is in 1..999 and G in 1..65535.
    """
    if not 1 <= num_classes <= LARGEST_CLASS:
        raise LussError(
            f"the number of classes is {num_classes}, expected 1..{LARGEST_CLASS} (without "
            f"'other'; id {IGNORE_ID} is 'ignored')"
        )
    if num_generated is not None and not 1 <= num_generated <= LARGEST_GENERATED:
        raise LussError(
            f"the number of generated categories is {num_generated}, expected "
            f"1..{LARGEST_GENERATED}"
        )


def check_evaluated(pixels: np.ndarray, images: int) -> None:
    """Refuse a truth of which nothing can be evaluated.

    Args:
        pixels: evaluated pixels, of any shape.
        images: number of images they are of.

    Raises:
        LussError: if there are no images, or all their pixels are ignored.
    """
    if not images:
        raise LussError("no image was counted, so there is nothing to evaluate")
    if not pixels.any():
        raise LussError(
            f"every true pixel of all {images} images is ignored (id {IGNORE_ID}), so there is "
            "nothing to evaluate; check the true masks"
        )


@dataclass(frozen=True)
class ImageCounts:
    """What one image adds to `Counts`.

    Attributes:
        shape: shape of the confusion it belongs to.
        index: (n,) int64 positions in the flat confusion.
        count: (n,) int64 pixels, one number for each position.
        occurring: (o,) ids present in the prediction, with 0; if boundaries are counted, those of
            ignored pixels, too, since they shape the boundaries of others.
        predicted: (p,) ids present in the prediction's evaluated pixels, without 0.
        true: (t,) ids present in the truth, without 0.
        top: predicted ids, without 0, of the largest area; several if they tie, none if only
            'other' was predicted.
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

    A matcher that chooses the threshold, too, gets fewer of them: ``confusion[0, 0]`` and
    ``cooccurrence`` alone, see `luss.label_generation.threshold_search`.

    Attributes:
        confusion: (2, 5, G+2, C+2) int64. First axis: all pixels, boundary pixels (left out if
            boundaries are not wanted). Second: everything, then the `SIZE_GROUPS`. Then pixels
            by predicted and true id; the last row and column are 'in no boundary'.
        cooccurrence: (G+1, C+1) int64, images whose prediction holds one id and whose truth the
            other.
        top: (G+1, C+1) int64, images whose largest predicted class is one id and whose truth
            holds the other; only images with a single largest class.
        occurrence: (G+1,) int64, images whose prediction holds the id; if boundaries are counted,
            also where the truth is ignored.
        ties: images by (largest predicted classes, true classes) where several are largest.
        f_beta: sum of F_beta over images in units of 1 / ``F_BETA_UNIT``.
        images: number of images.
    """

    confusion: np.ndarray
    cooccurrence: np.ndarray
    top: np.ndarray | None
    occurrence: np.ndarray | None
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
            boundary: whether boundaries are to be counted.

        Raises:
            LussError: see `check_numbers`.
        """
        check_numbers(num_classes, num_generated)
        generated = num_classes if num_generated is None else num_generated
        shape = (1 + boundary, 1 + len(SIZE_GROUPS), generated + 2, num_classes + 2)
        square = (generated + 1, num_classes + 1)
        return cls(*(np.zeros(s, np.int64) for s in (shape, square, square, generated + 1)))

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
        """(G, C) int64, pixels that a generated and a true class share, 'other' left out."""
        return self.confusion[0, 0, 1:-1, 1:-1]

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All sums that are arrays, each to be added by itself."""
        return self.confusion, self.cooccurrence, self.top, self.occurrence

    def add(self, image: ImageCounts) -> None:
        """Add one image's counts in place."""
        if image.shape != self.confusion.shape:
            raise LussError(f"counts of {image.shape} cannot be added to {self.confusion.shape}")
        # An image's positions are distinct, so that plain indexing adds each of them.
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
        """Whether a match can be applied to the sums.

        It cannot if it joins ids that occur (as when unmatched ids become 'other'): boundaries
        between them and the largest class of an image are then others. Count the matched
        predictions instead.
        """
        occurs = self.occurrence > 0
        occurs[0] = True
        used = np.asarray(match)[occurs]
        return len(np.unique(used)) == len(used)

    def matched(self, match: np.ndarray) -> "Counts":
        """Return the counts that predictions with the match applied would have given.

        Args:
            match: (G+1,) true id of each generated id, ``match[0] == 0``.

        Raises:
            LussError: if the match does not fit or joins ids that occur (see `can_match`).
        """
        match = np.asarray(match)
        classes = self.num_classes
        if match.shape != (self.num_generated + 1,) or match.min() < 0 or match.max() > classes:
            raise LussError(
                f"a match for {self.num_generated} generated and {classes} true classes needs "
                f"{self.num_generated + 1} ids in 0..{classes}, found {match.shape} ids in "
                f"{match.min()}..{match.max()}"
            )
        if not self.can_match(match):
            raise LussError(
                "the match gives one true id to several generated ids that occur (unmatched ids "
                "become 'other'), which counts cannot follow: apply the match to the predictions "
                "and count again"
            )
        result = Counts.zeros(classes, classes, self.boundary)
        rows = np.append(match, classes + 1)
        np.add.at(result.confusion, (slice(None), slice(None), rows), self.confusion)
        np.add.at(result.cooccurrence, match, self.cooccurrence)
        np.add.at(result.top, match, self.top)
        np.add.at(result.occurrence, match, self.occurrence)
        for (tops, true), images in self.ties.items():
            result.ties[tuple(sorted(match[list(tops)].tolist())), true] += images
        result.f_beta, result.images = self.f_beta, self.images
        return result
