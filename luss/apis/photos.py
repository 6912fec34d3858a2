"""Photos as people name them: files and folders, in any number and mixture."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luss.datasets.photo_folder import find_photos, image_ids
from luss.datasets.photo_listing import refuse_unusable_names
from luss.errors import LussError

__all__ = ["Photo", "list_photos"]


@dataclass(frozen=True)
class Photo:
    """A photo to predict.

    Attributes:
        path: of the file.
        name: what it is called in results: its path below the folder that was given.
        image_id: what its outputs are called, ``<image_id>.png``; no two are alike.
    """

    path: str
    name: str
    image_id: str


def list_photos(given: Sequence[str | os.PathLike]) -> list[Photo]:
    """All photos of files and folders.

    Of one folder, photos are called by their path below it; of several, the folder's name comes
    before. A single file is called by its own name.

    Args:
        given: paths of files and folders; see :func:`luss.datasets.photo_folder.find_photos` for
            what is found in a folder.

    Raises:
        LussError: if there is no such file or folder, or two photos would have one name.
    """
    paths: dict[str, str] = {}
    for entry in map(Path, given):
        entry = entry.expanduser()
        if entry.is_dir():
            prefix = "" if len(given) == 1 else f"{entry.resolve().name}/"
            found = {f"{prefix}{photo}": f"{entry}/{photo}" for photo in find_photos(entry)}
        elif entry.exists():
            found = {entry.name: str(entry)}
        else:
            raise LussError(
                f"there is no photo and no folder {entry}; give photos, or folders of them"
            )
        for name, path in found.items():
            if paths.setdefault(name, path) != path:
                raise LussError(
                    f"{paths[name]} and {path} would both be called {name!r}; give the folder "
                    "that holds both, or predict them one after the other into two folders"
                )
    if not paths:
        raise LussError("there are no photos to predict; give files or folders")
    names = list(paths)
    ids = image_ids(names)
    refuse_unusable_names(zip(names, ids, strict=True), ", ".join(map(str, given)))
    return [Photo(paths[name], name, image_id) for name, image_id in zip(names, ids, strict=True)]
