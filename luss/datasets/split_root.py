"""What an ImageNet-S split root is: folders of splits, which hold one folder a class."""

import os
from pathlib import Path
from typing import Literal

from luss.datasets.image_io import IMAGE_SUFFIXES
from luss.datasets.mask_codec import IGNORE_ID
from luss.datasets.photo_listing import Tally, is_output_folder, photo_outside, shown, walk_photos
from luss.errors import LussError
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
    """Names of the classes 1..C of a split root: the sorted class folders of ``train``.

    Without ``train``, those of all other splits but ``train-full`` together. Hidden folders, those
    that systems add or luss creates are no class folders. One without a photo is refused: as a
    class it would shift the ids of those after it.

    Args:
        data_root: the split root.

    Returns:
        The C names.

    Raises:
        LussError: if there is no split in ``data_root``, no class folder, an empty one, or too
            many of them.
    """
    root = Path(data_root)
    if not root.is_dir():
        raise LussError(f"there is no folder {root}; data_root must be an ImageNet-S split root")
    splits = ["train"] if (root / "train").is_dir() else ["train-semi", "validation", "test"]
    present = [split for split in splits if (root / split).is_dir()]
    if not present:
        raise LussError(
            f"{root} is no ImageNet-S split root: none of {', '.join(['train', *splits])} is in "
            f"it, it holds {folder_content(root)}"
        )
    names = sorted({name for split in present for name in class_folders(root / split)})
    if not names:
        raise LussError(
            f"there are no class folders in {' or '.join(str(root / split) for split in present)}; "
            "images must lie in one folder a class (for photos without classes use PhotoFolder)"
        )
    if len(names) >= IGNORE_ID:
        raise LussError(
            f"{root} has {len(names)} classes, but ids from {IGNORE_ID} on cannot be told from "
            f"'ignore' (= {IGNORE_ID}) in masks; at most {IGNORE_ID - 1} are possible"
        )
    empty = [
        name for name in names if not any(holds_photo(root / split / name) for split in present)
    ]
    if len(empty) == len(names):
        raise no_images(root / present[0])
    if empty:
        raise LussError(
            f"{len(empty)} of the {len(names)} class folders of {root / present[0]} hold no "
            f"photo: {shown(empty)}; as classes they would shift the ids of the others: remove "
            "these folders, or put the photos of these classes into them"
        )
    return names


def class_folders(folder: Path) -> list[str]:
    """Names of the class folders of a split, sorted."""
    with os.scandir(folder) as entries:
        names = [
            entry.name for entry in entries if entry.is_dir() and not is_system_name(entry.name)
        ]
    return sorted(name for name in names if not is_output_folder(folder / name))


def holds_photo(folder: Path) -> bool:
    """Whether there is a photo in a folder itself, which may be missing."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(Tally().takes(entry.name, may_be_file(entry)) for entry in entries)


def why_no_split_root(root: Path) -> str | None:
    """Why a folder with the folders of a split root may be no split root; None if it is one.

    In one, ``train`` holds photos in class folders alone, and no other folder holds photos.
    """
    train = root / "train"
    if train.is_dir():
        if holds_photo(train):
            return f"{train} holds photos that are in no class folder"
        folders = class_folders(train)
        if not any(holds_photo(train / name) for name in folders):
            # A split root of empty class folders has a message of its own.
            nested = next((name for name in folders if _any_photo(train / name)), None)
            if nested:
                return f"{train / nested} holds photos in folders below it alone"
    stray = photo_outside(root, _OF_A_SPLIT_ROOT)
    return None if stray is None else f"{stray} is a photo outside of the splits"


def _any_photo(folder: Path) -> str | None:
    return next(walk_photos(folder, Tally()), None)


def may_be_file(entry: os.DirEntry) -> bool:
    """Whether an entry is a regular file or a link, without looking where that leads."""
    return entry.is_file(follow_symlinks=False) or entry.is_symlink()


def names_in(folder: Path) -> set[str]:
    """Names of all that lies in a folder."""
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}


def folder_content(folder: Path) -> str:
    """Names of what a folder holds, for messages."""
    return shown(sorted(names_in(folder))) or "nothing"


def no_images(folder: Path) -> LussError:
    """The error for a split without photos."""
    return LussError(
        f"there are no images in the class folders of {folder}; "
        f"looked for {', '.join(sorted(IMAGE_SUFFIXES))} in any case"
    )
