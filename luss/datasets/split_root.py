"""Layout of ImageNet-S split roots: a folder per split with a folder per class."""

import os
from pathlib import Path
from typing import Literal

from luss.datasets.image_io import IMAGE_SUFFIXES
from luss.datasets.mask_codec import IGNORE_ID
from luss.datasets.photo_listing import Tally, is_output_folder, photo_outside, walk_photos
from luss.errors import LussError, shorten
from luss.files import is_system_name

__all__ = [
    "SPLITS",
    "Split",
    "class_folders",
    "find_categories",
    "folder_content",
    "holds_photo",
    "may_be_file",
    "names_in",
    "no_images",
    "why_no_split_root",
]

Split = Literal["train", "train-full", "train-semi", "validation", "test"]

SPLITS: tuple[str, ...] = ("train", "train-full", "train-semi", "validation", "test")

_OF_A_SPLIT_ROOT = frozenset([*SPLITS, *(f"{split}-segmentation" for split in SPLITS)])


def find_categories(data_root: str | os.PathLike) -> list[str]:
    """Return the names of classes 1..C of a split root: the sorted class folders of ``train``.

    Without ``train``, the class folders of all other splits except ``train-full`` are merged.
    Hidden and system folders and outputs of luss are skipped.

    Args:
        data_root: the split root.

    Returns:
        The C names.

    Raises:
        LussError: if there are no splits or class folders, an empty class folder, which would shift
            the ids of later classes, or too many class folders.
    """
    root = Path(data_root)
    if not root.is_dir():
        raise LussError(f"the folder {root} is missing. Set data_root to an ImageNet-S split root")
    splits = ["train"] if (root / "train").is_dir() else ["train-semi", "validation", "test"]
    found = [split for split in splits if (root / split).is_dir()]
    if not found:
        raise LussError(
            f"{root} is not an ImageNet-S split root: it contains {folder_content(root)}. Expected "
            f"one of {', '.join(['train', *splits])}"
        )
    names = sorted({name for split in found for name in class_folders(root / split)})
    if not names:
        raise LussError(
            f"there are no class folders in {' or '.join(str(root / split) for split in found)}. "
            "Put images into one folder per class, or use PhotoFolder for photos without classes"
        )
    if len(names) >= IGNORE_ID:
        raise LussError(
            f"{root} has {len(names)} classes, but in masks, the id {IGNORE_ID} means 'ignore'. At "
            f"most {IGNORE_ID - 1} classes are possible"
        )
    empty = [name for name in names if not any(holds_photo(root / split / name) for split in found)]
    if len(empty) == len(names):
        raise no_images(root / found[0])
    if empty:
        raise LussError(
            f"{len(empty)} of the {len(names)} class folders of {root / found[0]} contain no "
            f"photo and would shift the ids of other classes: {shorten(empty)}. Remove these "
            "folders, or add photos"
        )
    return names


def class_folders(folder: Path) -> list[str]:
    """Return the sorted names of the class folders of a split."""
    with os.scandir(folder) as entries:
        names = [
            entry.name for entry in entries if entry.is_dir() and not is_system_name(entry.name)
        ]
    return sorted(name for name in names if not is_output_folder(folder / name))


def holds_photo(folder: Path) -> bool:
    """Return whether a folder, which may be missing, directly contains a photo."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(Tally().takes(entry.name, may_be_file(entry)) for entry in entries)


def why_no_split_root(root: Path) -> str | None:
    """Return why a folder may not be a split root although it has a folder of a split, or None.

    In a split root, ``train`` contains photos only in class folders, and no other folder contains
    photos.
    """
    train = root / "train"
    if train.is_dir():
        if holds_photo(train):
            return f"{train} contains photos outside of class folders"
        folders = class_folders(train)
        if not any(holds_photo(train / name) for name in folders):
            # `find_categories` reports empty class folders.
            nested = next((name for name in folders if _any_photo(train / name)), None)
            if nested:
                return f"{train / nested} contains photos only in folders below it"
    stray = photo_outside(root, _OF_A_SPLIT_ROOT)
    return None if stray is None else f"{stray} is a photo outside of the splits"


def _any_photo(folder: Path) -> str | None:
    return next(walk_photos(folder, Tally()), None)


def may_be_file(entry: os.DirEntry) -> bool:
    """Return whether an entry is a regular file or a link, without following it."""
    return entry.is_file(follow_symlinks=False) or entry.is_symlink()


def names_in(folder: Path) -> set[str]:
    """Return the names of all entries of a folder."""
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}


def folder_content(folder: Path) -> str:
    """Return the names of a folder's entries for a message."""
    return shorten(sorted(names_in(folder))) or "nothing"


def no_images(folder: Path) -> LussError:
    """Return the error for a split without photos."""
    return LussError(
        f"there are no images in the class folders of {folder}. Add images with a suffix out of "
        f"{', '.join(sorted(IMAGE_SUFFIXES))}, in any case"
    )
