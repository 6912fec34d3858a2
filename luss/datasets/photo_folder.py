"""Folders of photos, flat or nested, without classes or masks."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from luss.datasets.description import DataDescription
from luss.datasets.image_io import (
    IMAGE_SUFFIXES,
    TooLargeImageError,
    UnreadableImageError,
    image_header,
    split_suffix,
)
from luss.datasets.photo_listing import (
    Tally,
    check_names,
    is_output_folder,
    walk_photos,
)
from luss.datasets.reproducible import ReproducibleDataset
from luss.errors import LussError
from luss.files import MARK
from luss.registry import DATASETS

__all__ = ["PhotoFolder", "find_photos", "image_ids", "unique_ids"]


def find_photos(folder: str | os.PathLike) -> list[str]:
    """Return the sorted relative paths of all photos below ``folder``.

    Links to folders are followed, but each folder is read once. Hidden and system files, folders
    created by luss and everything but regular files are skipped. Photos with too many pixels or of
    kinds that PIL does not read are skipped with a warning.

    Raises:
        LussError: if the folder or photos are missing, a folder cannot be listed, or ``folder``
            contains outputs of luss.
    """
    root = Path(folder)
    if not root.is_dir():
        raise LussError(f"the folder of photos {root} is missing. Correct the path")
    if is_output_folder(root):
        raise LussError(
            f"{root} contains outputs of luss, such as a run or predictions, whose pictures are "
            "not photos. Give a folder that contains only photos; if outputs were written among "
            f"the photos, delete them and {root / MARK}"
        )
    tally = Tally()
    photos = [photo for photo in walk_photos(root, tally) if not _is_too_large(root, photo, tally)]
    tally.log(root)
    if not photos:
        raise LussError(
            f"there are no photos in {root} or the folders below it. Put photos there, or give "
            f"another folder; known suffixes are {', '.join(sorted(IMAGE_SUFFIXES))}, in any case"
        )
    return sorted(photos)


def image_ids(photos: list[str]) -> list[str]:
    """Return the id of each photo, see `unique_ids`.

    Args:
        photos: paths relative to one folder.

    Raises:
        LussError: if ``<id>.png`` is the path of a folder.
    """
    ids = unique_ids(photos)
    folders = _folders_of(photos)
    for photo, image_id in zip(photos, ids, strict=True):
        if f"{image_id}.png" in folders:
            raise LussError(
                f"the mask of the photo {photo} would have the name of the folder {image_id}.png. "
                "Rename the folder"
            )
    return ids


def unique_ids(photos: list[str]) -> list[str]:
    """Return a unique id for each photo.

    An id is the path without suffix. The suffix is kept if the id would be another photo's path or
    id, or ``<id>.png`` is a folder.

    Args:
        photos: paths relative to one folder, all different.
    """
    bare = Counter(split_suffix(photo)[0] for photo in photos)
    paths = set(photos)
    folders = _folders_of(photos)
    ids = []
    for photo in photos:
        stem, _ = split_suffix(photo)
        unique = bare[stem] == 1 and stem not in paths and f"{stem}.png" not in folders
        ids.append(stem if unique else photo)
    return ids


def _folders_of(photos: list[str]) -> set[str]:
    return {str(parent) for photo in photos for parent in Path(photo).parents}


@DATASETS.register_module()
class PhotoFolder(ReproducibleDataset):
    """Data set of all photos below a folder.

    An item has ``img_path``, ``upright`` (True: the EXIF orientation is applied) and ``image_id``:
    its path relative to ``data_root`` without suffix, or with it if another photo differs only in
    the suffix.

    Args:
        data_root: the folder.
        **kwargs: see ``ReproducibleDataset``.

    Raises:
        LussError: if the folder or photos are missing, or a name does not allow a mask's name.
    """

    def __init__(self, data_root: str, **kwargs):
        super().__init__(data_root=data_root, **kwargs)

    @classmethod
    def describe(cls, **settings: Any) -> DataDescription:
        """Describe photos for training only."""
        return DataDescription()

    @classmethod
    def for_split(cls, settings: dict[str, Any], split: str) -> dict[str, Any]:
        """Return the settings unchanged for ``train``, the only split."""
        if split != "train":
            raise LussError(
                f"PhotoFolder has no split {split!r}. Use a data set with splits or masks, see "
                "docs/data_sets.md"
            )
        return dict(settings)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the photos sorted by path."""
        photos = find_photos(self.data_root)
        named = list(zip(photos, image_ids(photos), strict=True))
        check_names(named, self.data_root)
        return [
            {"img_path": f"{self.data_root}/{photo}", "image_id": image_id, "upright": True}
            for photo, image_id in named
        ]


def _is_too_large(root: Path, photo: str, tally: Tally) -> bool:
    try:
        image_header(root / photo)
    except TooLargeImageError:
        tally.photos[split_suffix(photo)[1]] -= 1
        tally.too_large.append(photo)
        return True
    except UnreadableImageError:
        # The data set's on_unreadable handles it when the photo is read.
        return False
    return False
