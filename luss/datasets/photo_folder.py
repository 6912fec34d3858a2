"""A folder of photos, flat or nested, without classes or masks."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from luss.datasets.image_io import IMAGE_SUFFIXES, split_suffix
from luss.datasets.reproducible import ReproducibleDataset
from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["PhotoFolder", "find_photos"]


def find_photos(folder: str | os.PathLike) -> list[str]:
    """Paths of all photos below ``folder``, relative to it, sorted.

    Links to folders are followed, but no folder is entered twice; names that begin with a dot are
    passed over.

    Raises:
        LussError: if the folder or photos in it are missing.
    """
    root = Path(folder)
    if not root.is_dir():
        raise LussError(f"there is no folder {root} of photos")
    photos: list[str] = []
    entered: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            _, suffix = split_suffix(name)
            if suffix in IMAGE_SUFFIXES and not name.startswith("."):
                photos.append(Path(parent, name).relative_to(root).as_posix())
    if not photos:
        raise LussError(
            f"there are no photos in {root} or the folders below it; "
            f"looked for {', '.join(sorted(IMAGE_SUFFIXES))} in any case"
        )
    return sorted(photos)


@DATASETS.register_module()
class PhotoFolder(ReproducibleDataset):
    """All photos below a folder.

    An item has ``img_path`` and ``image_id``: its path relative to ``data_root`` without suffix,
    or with it where photos differ in nothing else.

    Args:
        data_root: the folder.
        **kwargs: as ``ReproducibleDataset``.

    Raises:
        LussError: if the folder or photos in it are missing.
    """

    def __init__(self, data_root: str, **kwargs):
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the photos, sorted by their path."""
        photos = find_photos(self.data_root)
        bare = Counter(split_suffix(photo)[0] for photo in photos)
        items = []
        for photo in photos:
            stem, _ = split_suffix(photo)
            image_id = stem if bare[stem] == 1 else photo
            items.append({"img_path": f"{self.data_root}/{photo}", "image_id": image_id})
        return items
