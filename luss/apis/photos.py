"""Photos to predict: files and folders given by users."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from luss.datasets.photo_folder import find_photos, unique_ids
from luss.datasets.photo_listing import LONGEST_NAME
from luss.errors import LussError, printable

__all__ = ["OUTPUT_SUFFIXES", "GivenPhoto", "as_paths", "find_given", "name_outputs"]

OUTPUT_SUFFIXES = (".png", ".jpg", ".json")
"""Suffixes of the output files of a photo, ``<image_id><suffix>``."""

_CUTOUT = re.compile(r"\d+\.png")


@dataclass(frozen=True)
class GivenPhoto:
    """A photo to predict.

    Attributes:
        path: of the file.
        name: in results: its path below the given folder.
        image_id: unique name of its outputs, ``<image_id>.png``; empty if they cannot be written.
    """

    path: str
    name: str
    image_id: str = ""


def as_paths(given: str | os.PathLike | Iterable[str | os.PathLike]) -> list[str]:
    """Return one or several paths as a list of strings.

    Raises:
        LussError: if an entry is not a path.
    """
    paths = [given] if isinstance(given, str | os.PathLike) else given
    try:
        return [os.fspath(path) for path in paths]
    except TypeError as error:
        raise LussError(
            f"cannot read photos from {given!r:.80}; give the path of a photo or folder, or several"
        ) from error


def find_given(given: Sequence[str | os.PathLike]) -> list[GivenPhoto]:
    """Find all photos of files and folders; `name_outputs` names their outputs.

    A photo's name is its path below the folder, after the folder's name if there are several. A
    file has its own name.

    Args:
        given: paths of files and folders; see :func:`luss.datasets.photo_folder.find_photos` for
            the photos of a folder.

    Raises:
        LussError: if a path does not exist, or there are no photos.
    """
    found: dict[GivenPhoto, None] = {}
    for entry in map(Path, given):
        entry = entry.expanduser()
        if entry.is_dir():
            prefix = "" if len(given) == 1 else f"{entry.resolve().name}/"
            photos = [
                GivenPhoto(f"{entry}/{path}", f"{prefix}{path}") for path in find_photos(entry)
            ]
        elif entry.exists():
            photos = [GivenPhoto(str(entry), entry.name)]
        else:
            raise LussError(f"there is no photo or folder {entry}; give photos or folders")
        found |= dict.fromkeys(photos)
    if not found:
        raise LussError("there are no photos to predict; give photos or folders")
    return list(found)


def name_outputs(
    photos: Sequence[GivenPhoto],
) -> tuple[list[GivenPhoto], list[tuple[GivenPhoto, str]]]:
    """Name the outputs of photos.

    Args:
        photos: from `find_given`.

    Returns:
        The photos whose outputs can be written, with ``image_id``; the others, with the reason.
    """
    count = Counter(photo.name for photo in photos)
    unique = [photo for photo in photos if count[photo.name] == 1]
    rejected = [
        (
            photo,
            f"{printable(photo.path)} and another photo have the same name {photo.name!r}; give a "
            "common parent folder, or predict them to different folders",
        )
        for photo in photos
        if count[photo.name] > 1
    ]
    ids = unique_ids([photo.name for photo in unique])
    folders = {str(parent) for image_id in ids for parent in Path(image_id).parents}
    # The folder of a photo's cutouts may also contain outputs of other photos.
    cutouts = {
        str(Path(folder).parent): folder
        for folder in folders
        if _CUTOUT.fullmatch(Path(folder).name)
    }
    named = []
    for photo, image_id in zip(unique, ids, strict=True):
        if reason := _find_obstacle(image_id, folders, cutouts):
            rejected.append((photo, f"{printable(photo.path)}: {reason}"))
        else:
            named.append(GivenPhoto(photo.path, photo.name, image_id))
    return named, rejected


def _find_obstacle(
    image_id: str, folders: Collection[str], cutouts: Mapping[str, str]
) -> str | None:
    """Return the reason why the outputs of a photo cannot be written, or None.

    Args:
        image_id: of the photo.
        folders: all parent folders of outputs.
        cutouts: id of a photo -> a folder of photos with the name of one of its cutouts.
    """
    try:
        length = len(image_id.rpartition("/")[2].encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8; rename the file or folder"
    longest = LONGEST_NAME - max(map(len, OUTPUT_SUFFIXES))
    if length > longest:
        return f"its name has {length} bytes, expected at most {longest}; rename it"
    outputs = [f"{image_id}{suffix}" for suffix in OUTPUT_SUFFIXES]
    taken = next((path for path in outputs if path in folders), cutouts.get(image_id))
    if taken:
        return f"an output would have the name of the folder {taken}; rename the folder"
    return None
