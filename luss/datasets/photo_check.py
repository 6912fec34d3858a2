"""Warnings about readable photos."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray

from luss.datasets.image_io import UnreadableImageError, image_header, read_image
from luss.errors import shorten
from luss.files import file_digest

__all__ = [
    "DeepPhotos",
    "doubt_of_copies",
    "doubt_of_empty",
    "identical_photos",
    "quick_doubts",
]

_QUARTER = 64
"""A quarter of the 256 levels of 8 bits; photos below it use at most 14 of their 16 bits."""

_LOOKED_AT = 500
_DECODED = 16
_COMPARED = 10_000
_HEAD = 1 << 13


@dataclass
class DeepPhotos:
    """Photos with 16 bits per channel, of which luss uses the upper 8.

    Attributes:
        brightest: path -> largest value of the upper 8 bits, 0..255.
    """

    brightest: dict[str, int] = field(default_factory=dict)

    def add(self, path: str, pixels: NDArray[np.uint8]) -> None:
        """Record the brightest value of a photo.

        Args:
            path: of the photo.
            pixels: of any shape, from `luss.datasets.image_io.read_image`.
        """
        self.brightest[path] = int(pixels.max())

    def doubt(self) -> str | None:
        """Return a warning if most of the photos use less than a quarter of their range."""
        dim = {path: level for path, level in self.brightest.items() if level < _QUARTER}
        if 2 * len(dim) <= len(self.brightest):
            return None
        brightest = max(dim.values())
        bits = 8 + brightest.bit_length()
        return (
            f"{len(dim)} photos have 16 bits per channel but no value above {2**bits - 1}, like "
            f"{bits}-bit data, so they are read with {brightest + 1} of 256 levels: "
            f"{shorten(list(dim))}. Multiply their values by {2 ** (16 - bits)}, or save them with "
            "8 bits over the full range"
        )


def identical_photos(paths: Iterable[str]) -> list[list[str]]:
    """Return groups of byte-identical photos, in the order of the paths.

    Only files of equal size and equal first bytes are read completely.

    Args:
        paths: of photos; duplicate and unreadable paths are skipped.
    """
    groups = [list(dict.fromkeys(paths))]
    keys: tuple[Callable[[str], Hashable], ...] = (
        lambda path: Path(path).stat().st_size,
        lambda path: file_digest(path, _HEAD),
        file_digest,
    )
    for key in keys:
        groups = [part for group in groups for part in _split(group, key)]
    return groups


def _split(paths: list[str], key: Callable[[str], Hashable]) -> list[list[str]]:
    """Return the groups of two or more paths with equal keys."""
    groups = defaultdict(list)
    for path in paths:
        with contextlib.suppress(OSError):
            groups[key(path)].append(path)
    return [group for group in groups.values() if len(group) > 1]


def doubt_of_copies(groups: Sequence[Sequence[str]]) -> str | None:
    """Return a warning if there are groups of `identical_photos`."""
    if not groups:
        return None
    copies = sum(map(len, groups)) - len(groups)
    photos = "1 photo is a byte-identical copy" if copies == 1 else f"{copies} photos are copies"
    pairs = [" = ".join(map(str, group)) for group in groups]
    return f"{photos} of another, byte for byte: {shorten(pairs)}. Remove the copies"


def doubt_of_empty(dataset: BaseDataset, classes: Sequence[str]) -> str | None:
    """Return a warning that lists the classes without photos; None if there are none.

    Args:
        dataset: with ``category``, 1..C, in its items.
        classes: names of the classes 1..C.
    """
    held = Counter(dataset.get_data_info(index).get("category") for index in range(len(dataset)))
    empty = [name for index, name in enumerate(classes, 1) if not held[index]]
    if not empty:
        return None
    return (
        f"{len(empty)} of {len(classes)} categories have no photo: {shorten(empty)}. Add photos of "
        "them, or remove the categories"
    )


def quick_doubts(dataset: BaseDataset, classes: Sequence[str] | None = None) -> list[str]:
    """Return warnings about training photos, in about a second.

    Checks 500 photos for 16 bits, and up to 10,000 photos for copies and empty categories. ``luss
    check`` checks all photos.

    Args:
        dataset: data set; without ``img_path`` in its items, nothing is checked.
        classes: names of the categories 1..C, if items have categories.
    """
    count = len(dataset)
    if not count or "img_path" not in dataset.get_data_info(0):
        return []
    deep = DeepPhotos()
    for index in np.linspace(0, count - 1, min(count, _LOOKED_AT)).astype(int).tolist():
        path = dataset.get_data_info(index)["img_path"]
        try:
            if len(deep.brightest) < _DECODED and image_header(path).deep:
                deep.add(path, read_image(path))
        except UnreadableImageError:
            continue
    doubts = [deep.doubt()]
    if count <= _COMPARED:
        paths = (dataset.get_data_info(index)["img_path"] for index in range(count))
        doubts.append(doubt_of_copies(identical_photos(paths)))
        if classes:
            doubts.append(doubt_of_empty(dataset, classes))
    return [doubt for doubt in doubts if doubt]
