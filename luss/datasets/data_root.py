"""What a folder of data is: an ImageNet-S split root, or photos without classes."""

import os
from pathlib import Path
from typing import Literal

from luss.datasets.imagenet_s import SPLITS, class_folders, holds_photo
from luss.datasets.photo_listing import Tally, is_work_dir, walk_photos
from luss.errors import LussError
from luss.files import is_system_name

__all__ = ["kind_of_data"]

_OF_A_SPLIT_ROOT = frozenset([*SPLITS, *(f"{split}-segmentation" for split in SPLITS)])


def kind_of_data(root: str | os.PathLike) -> Literal["ImageNetS", "PhotoFolder"]:
    """Tell by its folders what a data root is.

    It is a split root if it has ``train`` or a folder of masks, ``train`` holds photos in class
    folders alone, and no other folder of the root holds photos. Without both it is a photo folder.

    Args:
        root: the folder.

    Returns:
        The name of the data set.

    Raises:
        LussError: if it could be either.
    """
    root = Path(root)
    train = root / "train"
    masked = [split for split in SPLITS if (root / f"{split}-segmentation").is_dir()]
    if not train.is_dir() and not masked:
        return "PhotoFolder"
    reason = _why_no_split_root(root, train)
    if reason is None:
        return "ImageNetS"
    found = "train" if train.is_dir() else f"{masked[0]}-segmentation"
    raise LussError(
        f"{root} has a folder {found!r} as ImageNet-S split roots have, but {reason}. Say what it "
        "is: add --cfg-options data.type=PhotoFolder to use all photos in it without classes, or "
        "data.type=ImageNetS to use the class folders of its splits alone"
    )


def _why_no_split_root(root: Path, train: Path) -> str | None:
    if train.is_dir():
        if holds_photo(train):
            return f"{train} holds photos that are in no class folder"
        folders = class_folders(train)
        if not any(holds_photo(train / name) for name in folders):
            # A split root of empty class folders has a message of its own.
            nested = next((name for name in folders if _any_photo(train / name)), None)
            if nested:
                return f"{train / nested} holds photos in folders below it alone"
    with os.scandir(root) as entries:
        others = sorted(
            entry.name
            for entry in entries
            if not is_system_name(entry.name) and entry.name not in _OF_A_SPLIT_ROOT
        )
    for name in others:
        path = root / name
        if path.is_file() and Tally().takes(name, True):
            return f"{path} is a photo outside of the splits"
        if path.is_dir() and not is_work_dir(path) and (photo := _any_photo(path)):
            return f"{path / photo} is a photo outside of the splits"
    return None


def _any_photo(folder: Path) -> str | None:
    return next(walk_photos(folder, Tally()), None)
