"""Counts over the masks of a data set, and warnings derived from them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from luss.datasets.mask_codec import IGNORE_ID, MaskEncoding, ignored_value
from luss.errors import shorten

__all__ = ["MaskTally"]

_MUCH_IGNORED = 0.25
_SHOWN = 10
_COUNTED = 1 << 14


@dataclass
class MaskTally:
    """Counts over masks; counts of disjoint sets of masks can be added.

    Attributes:
        num_classes: C.
        with_mask: number of masks.
        ignored: pixels that are 'ignore'.
        pixels: (C + 1,) pixels of each id.
        with_class: (C + 1,) masks in which the id occurs.
        of_category: (C + 1,) masks by class folder, without fully ignored masks.
        without_own: (class folder's id, mask) of masks that lack the id of their class folder.
        instead: (class folder's id, id) -> number of masks in ``without_own`` with that id.
        turned: photos with a mask whose EXIF orientation turns or mirrors them.
    """

    num_classes: int
    with_mask: int = 0
    ignored: int = 0
    pixels: NDArray[np.int64] = field(init=False)
    with_class: NDArray[np.int64] = field(init=False)
    of_category: NDArray[np.int64] = field(init=False)
    without_own: Counter[tuple[int, str]] = field(init=False, default_factory=Counter)
    instead: Counter[tuple[int, int]] = field(init=False, default_factory=Counter)
    turned: Counter[str] = field(init=False, default_factory=Counter)

    def __post_init__(self) -> None:
        for name in ("pixels", "with_class", "of_category"):
            setattr(self, name, np.zeros(self.num_classes + 1, np.int64))

    def add_mask(
        self, mask: NDArray[np.integer], category: int = 0, path: str = ""
    ) -> NDArray[np.int64]:
        """Count a mask.

        Args:
            mask: (H, W) ids 0..C, with 1000 where ignored.
            category: id of its class folder, 1..C; any other number for other folders.
            path: of the mask, for messages.

        Returns:
            (C + 1,) pixels of each id in it.
        """
        counts = _count_ids(mask.ravel())
        areas = counts[: self.num_classes + 1]
        self.with_mask += 1
        self.ignored += int(counts[IGNORE_ID])
        self.pixels += areas
        held = areas > 0
        self.with_class += held
        # Masks may have fewer classes than there are folders.
        if 0 < category <= self.num_classes and held.any():
            self.of_category[category] += 1
            if not held[category]:
                self.without_own[category, path] += 1
                self.instead.update((category, int(each)) for each in np.flatnonzero(held))
        return areas

    def __iadd__(self, other: Self) -> Self:
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                getattr(self, name).update(value)
            elif name != "num_classes":
                setattr(self, name, getattr(self, name) + value)
        return self

    def __add__(self, other: Self) -> Self:
        """Return the summed counts of two sets of masks."""
        total = type(self)(self.num_classes)
        total += self
        total += other
        return total

    @property
    def ignored_share(self) -> float:
        """Fraction of all pixels that is ignored."""
        return self.ignored / max(self.ignored + int(self.pixels.sum()), 1)

    def doubts(
        self,
        names: Sequence[str] | None = None,
        encoding: MaskEncoding = "rgb",
        shift: str = "add 1 to the ids of all masks",
    ) -> list[str]:
        """Return possible mistakes in readable masks, a sentence or two each.

        Args:
            names: of the classes 1..C, if known.
            encoding: of the masks, which sets the value of 'ignore' in their files.
            shift: advice how to increase all ids by one.
        """
        if not self.with_mask:
            return []

        def named(index: int) -> str:
            if index == 0:
                return "0 ('other')"
            return f"{index} ({names[index - 1]!r})" if names else str(index)

        missing = (np.flatnonzero(self.with_class[1:] == 0) + 1).tolist()
        found = [self._missing_classes(missing, named, encoding, shift)] if missing else []
        if self.ignored_share >= _MUCH_IGNORED and not missing:
            found.append(f"{self._ignored_text(encoding)}: they are never measured")
        found += self._wrong_folders(names, named)
        if self.turned:
            found.append(
                f"{len(self.turned)} of the {self.with_mask} photos with a mask have an EXIF "
                "orientation that turns them. It is ignored, since masks usually fit the stored "
                f"photo: {shorten(sorted(self.turned))}. If these masks fit the upright photo, "
                "store the photos upright, such as by `mogrify -auto-orient`"
            )
        return found

    def _ignored_text(self, encoding: MaskEncoding) -> str:
        return (
            f"{ignored_value(encoding)}, which is ignored, covers {self.ignored_share:.1%} of the "
            "pixels"
        )

    def _missing_classes(
        self, missing: list[int], named: Callable[[int], str], encoding: MaskEncoding, shift: str
    ) -> str:
        classes = self.num_classes
        listed = shorten(map(named, missing))
        if len(missing) == 1:
            text = f"class {listed} occurs in no mask and counts as 0 in mIoU"
        else:
            text = f"{len(missing)} of {classes} classes occur in no mask and count as 0 in mIoU: "
            text += listed
        if self.ignored:
            text += (
                f"; {self._ignored_text(encoding)}. If {ignored_value(encoding)} marks a class in "
                "these masks, write the id of the class instead"
            )
        # 'other' occurs in nearly all masks of objects, the first class does not.
        rare = self.with_class[0] * 2 < self.with_mask
        if missing[-1] == classes > 1 and self.with_class[0] and (rare or len(missing) == 1):
            text += (
                f". Id 0 occurs in {self.with_class[0]} of {self.with_mask} masks. If it means "
                f"{named(1)} instead of 'other', all ids are shifted by one: {shift}"
            )
        return text

    def _wrong_folders(self, names: Sequence[str] | None, named: Callable[[int], str]) -> list[str]:
        without = Counter(category for category, _ in self.without_own.elements())
        wrong = sorted(own for own, masks in without.items() if masks == self.of_category[own])
        found = []
        for own in wrong[:_SHOWN]:
            paths = sorted(path for category, path in self.without_own if category == own)
            held = {index for category, index in self.instead if category == own}
            ids = ", ".join(named(index) for index in sorted(held - {0} or held)[:_SHOWN])
            folder = repr(names[own - 1]) if names else f"of class {own}"
            found.append(
                f"no mask in the folder {folder} contains its id {own}; its {len(paths)} masks "
                f"contain {ids}, such as {paths[0]}"
            )
        if wrong:
            more = f"; {len(wrong)} folders in total" if wrong[_SHOWN:] else ""
            found[-1] += (
                f"{more}. Ids follow the sorted order of the class folders: rename the folders, or "
                "change the ids in the masks"
            )
        return found


def _count_ids(ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return how often each id from 0 to `IGNORE_ID` occurs.

    Counting in chunks avoids numpy's copy of the complete mask, which doubles the time.
    """
    counts = np.zeros(IGNORE_ID + 1, np.int64)
    for start in range(0, ids.size, _COUNTED):
        counts += np.bincount(ids[start : start + _COUNTED], minlength=IGNORE_ID + 1)
    return counts
