"""Photos as people name them: files and folders, in any number and mixture."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from luss.datasets.photo_folder import find_photos, unique_ids
from luss.datasets.photo_listing import LONGEST_NAME, printable
from luss.errors import LussError

__all__ = ["OUTPUT_SUFFIXES", "Photo", "as_paths", "find_given", "name_outputs"]

OUTPUT_SUFFIXES = (".png", ".jpg", ".json")
"""Of the files that predictions write of a photo, ``<image_id><suffix>``."""

_CUTOUT = re.compile(r"\d+\.png")


@dataclass(frozen=True)
class Photo:
    """A photo to predict.

    Attributes:
        path: of the file.
        name: what it is called in results: its path below the folder that was given.
        image_id: what its outputs are called, ``<image_id>.png``; no two are alike. Empty if none
            can be written.
    """

    path: str
    name: str
    image_id: str = ""


def as_paths(given: str | os.PathLike | Iterable[str | os.PathLike]) -> list[str]:
    """Return paths as a list that can be read several times; a single path stands for itself.

    Raises:
        LussError: if something else than paths is given.
    """
    paths = [given] if isinstance(given, str | os.PathLike) else given
    try:
        return [os.fspath(path) for path in paths]
    except TypeError as error:
        raise LussError(
            f"cannot read photos from {given!r:.80}; give the path of a photo or folder, or several"
        ) from error


def find_given(given: Sequence[str | os.PathLike]) -> list[Photo]:
    """Find all photos of files and folders; their outputs are not named yet.

    Of one folder, photos are called by their path below it; of several, the folder's name comes
    before. A single file is called by its own name.

    Args:
        given: paths of files and folders; see :func:`luss.datasets.photo_folder.find_photos` for
            what is found in a folder.

    Raises:
        LussError: if there is no such file or folder, or there are no photos.
    """
    found: dict[Photo, None] = {}
    for entry in map(Path, given):
        entry = entry.expanduser()
        if entry.is_dir():
            prefix = "" if len(given) == 1 else f"{entry.resolve().name}/"
            photos = [Photo(f"{entry}/{path}", f"{prefix}{path}") for path in find_photos(entry)]
        elif entry.exists():
            photos = [Photo(str(entry), entry.name)]
        else:
            raise LussError(
                f"there is no photo and no folder {entry}; give photos, or folders of them"
            )
        found |= dict.fromkeys(photos)
    if not found:
        raise LussError("there are no photos to predict; give files or folders")
    return list(found)


def name_outputs(photos: Sequence[Photo]) -> tuple[list[Photo], list[tuple[Photo, str]]]:
    """Name the outputs of photos.

    Args:
        photos: from `find_given`.

    Returns:
        The photos whose outputs can be written, with ``image_id``; and the others, each with the
        reason.
    """
    count = Counter(photo.name for photo in photos)
    unlike = [photo for photo in photos if count[photo.name] == 1]
    rejected = [
        (
            photo,
            f"{printable(photo.path)} and another photo would both be called {photo.name!r}; give "
            "the folder that holds both, or predict them into two folders",
        )
        for photo in photos
        if count[photo.name] > 1
    ]
    ids = unique_ids([photo.name for photo in unlike])
    folders = {str(parent) for image_id in ids for parent in Path(image_id).parents}
    # Cutouts of a photo lie in a folder that may be one of photos, too.
    cutouts = {
        str(Path(folder).parent): folder
        for folder in folders
        if _CUTOUT.fullmatch(Path(folder).name)
    }
    named = []
    for photo, image_id in zip(unlike, ids, strict=True):
        if reason := _find_obstacle(image_id, folders, cutouts):
            rejected.append((photo, f"{printable(photo.path)}: {reason}"))
        else:
            named.append(Photo(photo.path, photo.name, image_id))
    return named, rejected


def _find_obstacle(
    image_id: str, folders: Collection[str], cutouts: Mapping[str, str]
) -> str | None:
    """Return why the outputs of a photo cannot be written; None if they can.

    Args:
        image_id: of the photo.
        folders: all folders of photos, below which their outputs lie.
        cutouts: id of a photo -> a folder of photos that is called as one of its cutouts.
    """
    try:
        length = len(image_id.rpartition("/")[2].encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8; rename the file or folder"
    longest = LONGEST_NAME - max(map(len, OUTPUT_SUFFIXES))
    if length > longest:
        return f"its name has {length} bytes, expected at most {longest}; give it a shorter name"
    outputs = [f"{image_id}{suffix}" for suffix in OUTPUT_SUFFIXES]
    taken = [path for path in outputs if path in folders] or [cutouts.get(image_id)]
    if taken[0]:
        return f"a file of its outputs would be called as the folder {taken[0]}; rename the folder"
    return None
