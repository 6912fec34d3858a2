"""What is doubtful about photos that can all be read."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray

from luss.datasets.image_io import UnreadableImageError, image_header, read_image
from luss.datasets.photo_listing import shown
from luss.files import file_digest

__all__ = [
    "DeepPhotos",
    "doubt_of_copies",
    "doubt_of_empty",
    "identical_photos",
    "quick_doubts",
]

_QUARTER = 64
"""Of the 256 levels of 8 bit: photos that stay below use at most 14 of their 16 bits."""

_LOOKED_AT = 500
_DECODED = 16
_COMPARED = 10_000
_HEAD = 1 << 13


@dataclass
class DeepPhotos:
    """Photos of 16 bits a channel, of which luss uses the upper 8.

    Attributes:
        brightest: path -> largest value of the upper 8 bits, 0..255.
    """

    brightest: dict[str, int] = field(default_factory=dict)

    def add(self, path: str, pixels: NDArray[np.uint8]) -> None:
        """Note a photo of 16 bits.

        Args:
            path: of the photo.
            pixels: of any shape, as `luss.datasets.image_io.read_image` gives them.
        """
        self.brightest[path] = int(pixels.max())

    def doubt(self) -> str | None:
        """Return what is wrong if most of the photos use less than a quarter of their range."""
        dim = {path: level for path, level in self.brightest.items() if level < _QUARTER}
        if 2 * len(dim) <= len(self.brightest):
            return None
        brightest = max(dim.values())
        bits = 8 + brightest.bit_length()
        return (
            f"{len(dim)} photos have 16 bits a channel but no value above {2**bits - 1}, as "
            f"{bits}-bit data have, so that they are read with {brightest + 1} levels of 256: "
            f"{shown(list(dim))}. Multiply their values by {2 ** (16 - bits)}, or save them as 8 "
            "bits over the full range"
        )


def identical_photos(paths: Iterable[str]) -> list[list[str]]:
    """Return groups of photos that are byte for byte the same, in the order of the paths.

    Only files of one size and one beginning are read whole.

    Args:
        paths: of photos; one that occurs twice counts once, one that cannot be read not at all.
    """
    groups = [list(dict.fromkeys(paths))]
    keys = (
        lambda path: Path(path).stat().st_size,
        lambda path: file_digest(path, _HEAD),
        file_digest,
    )
    for key in keys:
        groups = [part for group in groups for part in _split(group, key)]
    return groups


def _split(paths: list[str], key: Callable[[str], Hashable]) -> list[list[str]]:
    """Return the groups of two or more paths of one key."""
    groups = defaultdict(list)
    for path in paths:
        with contextlib.suppress(OSError):
            groups[key(path)].append(path)
    return [group for group in groups.values() if len(group) > 1]


def doubt_of_copies(groups: Sequence[Sequence[str]]) -> str | None:
    """Return what is wrong if there are groups of `identical_photos`."""
    if not groups:
        return None
    copies = sum(map(len, groups)) - len(groups)
    photos = "1 photo is a byte-identical copy" if copies == 1 else f"{copies} photos are copies"
    pairs = [" = ".join(map(str, group)) for group in groups]
    return f"{photos} of another, byte for byte: {shown(pairs)}. Remove the copies"


def doubt_of_empty(dataset: BaseDataset, classes: Sequence[str]) -> str | None:
    """Return which classes have no photo in a data set whose items have a ``category``.

    Args:
        dataset: with ``category``, 1..C, in its items.
        classes: names of the classes 1..C.
    """
    held = Counter(dataset.get_data_info(index).get("category") for index in range(len(dataset)))
    empty = [name for index, name in enumerate(classes, 1) if not held[index]]
    if not empty:
        return None
    return (
        f"{len(empty)} of {len(classes)} categories have no photo: {shown(empty)}. Add photos of "
        "them, or remove the categories"
    )


def quick_doubts(dataset: BaseDataset, classes: Sequence[str] | None = None) -> list[str]:
    """Return what is doubtful about photos to train on, in about a second.

    Photos of 16 bits are looked for among 500, copies and empty categories only where there are up
    to 10,000 photos; ``luss check`` looks at all of them.

    Args:
        dataset: with ``img_path`` in its items; others have no doubts.
        classes: names of the categories 1..C, where items have one.
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
