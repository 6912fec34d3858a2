"""A folder of photos, flat or nested, without classes or masks."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from luss.datasets.description import DataDescription
from luss.datasets.image_io import (
    IMAGE_SUFFIXES,
    TooLargeImageError,
    UnreadableImageError,
    image_size,
    split_suffix,
)
from luss.datasets.photo_listing import (
    Tally,
    is_output_folder,
    refuse_unusable_names,
    walk_photos,
)
from luss.datasets.reproducible import ReproducibleDataset
from luss.errors import LussError
from luss.files import MARK
from luss.registry import DATASETS

__all__ = ["PhotoFolder", "find_photos", "image_ids", "unique_ids"]


def find_photos(folder: str | os.PathLike) -> list[str]:
    """Paths of all photos below ``folder``, relative to it, sorted.

    Links to folders are followed, but no folder is entered twice. Passed over are hidden files
    and folders, those that systems add or luss creates, and what is no regular file. Photos
    of too many pixels and of kinds that PIL does not read are left out with a warning.

    Raises:
        LussError: if the folder or photos in it are missing, a folder cannot be listed, or
            ``folder`` itself is that of a run.
    """
    root = Path(folder)
    if not root.is_dir():
        raise LussError(f"there is no folder {root} of photos")
    if is_output_folder(root):
        raise LussError(
            f"{root} contains outputs of luss, such as a run or predictions, and their pictures "
            "would be taken for photos; give the folder that contains only photos. If outputs were "
            f"written among the photos, delete them and {root / MARK}"
        )
    tally = Tally()
    photos = [photo for photo in walk_photos(root, tally) if not _is_too_large(root, photo, tally)]
    tally.say(root)
    if not photos:
        raise LussError(
            f"there are no photos in {root} or the folders below it; "
            f"looked for {', '.join(sorted(IMAGE_SUFFIXES))} in any case. Put photos there, or "
            "give the folder that holds them"
        )
    return sorted(photos)


def image_ids(photos: list[str]) -> list[str]:
    """Return the id of each photo, see `unique_ids`, of which ``<id>.png`` is not a folder's path.

    Args:
        photos: paths relative to one folder.

    Raises:
        LussError: if a photo and a folder do not differ enough.
    """
    ids = unique_ids(photos)
    folders = _folders_of(photos)
    for photo, image_id in zip(photos, ids, strict=True):
        if f"{image_id}.png" in folders:
            raise LussError(
                f"the mask of the photo {photo} would be called as the folder {image_id}.png; "
                "rename the folder"
            )
    return ids


def unique_ids(photos: list[str]) -> list[str]:
    """Return the id of each photo, of which no two are alike.

    It is the path without suffix, or with it where another photo has the same or is called so, or
    where ``<id>.png`` is a folder.

    Args:
        photos: paths relative to one folder, all different.
    """
    bare = Counter(split_suffix(photo)[0] for photo in photos)
    paths = set(photos)
    folders = _folders_of(photos)
    ids = []
    for photo in photos:
        stem, _ = split_suffix(photo)
        alone = bare[stem] == 1 and stem not in paths and f"{stem}.png" not in folders
        ids.append(stem if alone else photo)
    return ids


def _folders_of(photos: list[str]) -> set[str]:
    return {str(parent) for photo in photos for parent in Path(photo).parents}


@DATASETS.register_module()
class PhotoFolder(ReproducibleDataset):
    """All photos below a folder.

    An item has ``img_path``, ``upright`` (True: photos are turned as their EXIF orientation says)
    and ``image_id``: its path relative to ``data_root`` without suffix, or with it where photos
    differ in nothing else.

    Args:
        data_root: the folder.
        **kwargs: as ``ReproducibleDataset``.

    Raises:
        LussError: if the folder or photos in it are missing, or have names of which no mask can
            be named.
    """

    def __init__(self, data_root: str, **kwargs):
        super().__init__(data_root=data_root, **kwargs)

    @classmethod
    def describe(cls, **settings: Any) -> DataDescription:
        """Photos to train on, and nothing else."""
        return DataDescription()

    @classmethod
    def for_split(cls, settings: dict[str, Any], split: str) -> dict[str, Any]:
        """The same photos; there is but ``train``."""
        if split != "train":
            raise LussError(
                f"a plain photo folder has no split {split!r}; expected folders of splits, or "
                "photos and masks, see docs/data_sets.md"
            )
        return dict(settings)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the photos, sorted by their path."""
        photos = find_photos(self.data_root)
        named = list(zip(photos, image_ids(photos), strict=True))
        refuse_unusable_names(named, self.data_root)
        return [
            {"img_path": f"{self.data_root}/{photo}", "image_id": image_id, "upright": True}
            for photo, image_id in named
        ]


def _is_too_large(root: Path, photo: str, tally: Tally) -> bool:
    try:
        image_size(root / photo)
    except TooLargeImageError:
        tally.photos[split_suffix(photo)[1]] -= 1
        tally.too_large.append(photo)
        return True
    except UnreadableImageError:
        # Whether that is an error is for the data set to say, when it is read.
        return False
    return False
