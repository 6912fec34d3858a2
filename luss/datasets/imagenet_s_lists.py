"""Lists of the ImageNet-S toolbox that assign photos of ImageNet-1k to splits.

The toolbox contains them in its folder ``data``; they are not part of this project.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from luss.errors import LussError

__all__ = ["EXPECTED", "MERGED_CATEGORIES", "Expected", "Lists", "read_lists"]

MERGED_CATEGORIES = {
    "n04356056": "n04355933",
    "n04493381": "n02808440",
    "n03642806": "n03832673",
    "n04008634": "n03773504",
    "n03887697": "n15075141",
}
"""Class folder of ImageNet -> class folder it is merged into; only for 919 classes."""


@dataclass(frozen=True)
class Expected:
    """Numbers of images of a split root, from table 1 of the paper.

    Attributes:
        train: unlabelled training images.
        train_semi: labelled training images, ten per class.
        validation: images with masks.
        test: images whose masks are not public.
        train_full: images for representation learning, if more than in ``train``.
    """

    train: int
    train_semi: int
    validation: int
    test: int
    train_full: int | None = None


EXPECTED = {
    50: Expected(64_431, 500, 752, 1_682),
    300: Expected(384_862, 3_000, 4_097, 9_088),
    919: Expected(1_183_322, 9_190, 12_419, 27_423, train_full=1_281_167),
}


@dataclass(frozen=True)
class Lists:
    """Lists of one split root.

    Attributes:
        categories: the class folders.
        train_semi: '<class folder>/<file>' of the labelled training images.
        validation: (file name in ImageNet's val, '<class folder>/<file>' in the split root).
        test: as ``validation``; these photos also come from ImageNet's val.
        masks: 'train-semi' and 'validation' -> '<class folder>/<file>' of the masks.
    """

    categories: list[str]
    train_semi: list[str]
    validation: list[tuple[str, str]]
    test: list[tuple[str, str]]
    masks: dict[str, list[str]]


def read_lists(folder: str | os.PathLike, split: int) -> Lists:
    """Read the lists of one split root.

    Args:
        folder: the toolbox, or its folder ``data``.
        split: 50, 300 or 919.

    Raises:
        LussError: if a list is missing or contains a malformed line.
    """
    root = Path(folder)
    root = root / "data" if (root / "data" / "categories").is_dir() else root
    images = {
        kind: [
            (Path(source).name, target)
            for source, target in _read(
                root / "mapping" / f"ImageNetS_im{split}_mapping_{kind}.txt", 2
            )
        ]
        for kind in ("validation", "test")
    }
    labelled = _read(root / "names" / f"ImageNetSemi_im{split}_train.txt", 2)
    validated = _read(root / "names" / f"ImageNetS_im{split}_validation.txt", 2)
    categories = _read(root / "categories" / f"ImageNetS_categories_im{split}.txt", 1)
    return Lists(
        categories=[category for (category,) in categories],
        train_semi=[image for image, _ in labelled],
        masks={
            "train-semi": [mask for _, mask in labelled],
            "validation": [mask for _, mask in validated],
        },
        **images,
    )


def _read(path: Path, columns: int) -> list[tuple[str, ...]]:
    if not path.is_file():
        raise LussError(
            f"the list {path} is missing. Set --lists to a clone of the ImageNet-S toolbox or its "
            "folder 'data', with categories, mapping and names"
        )
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        row = tuple(line.split())
        if not row:
            continue
        # A name that leaves its folder would overwrite other files.
        if len(row) != columns or any(".." in name or name.startswith("/") for name in row):
            raise LussError(f"{path}, line {number}: expected {columns} names, found {line!r}")
        rows.append(row)
    return rows
