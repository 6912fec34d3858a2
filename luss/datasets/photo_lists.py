"""Stored lists of a data set's photos, which show later changes."""

import gzip
import hashlib
from pathlib import Path

from mmengine.dataset import BaseDataset

from luss.errors import shorten
from luss.files import atomic_write

__all__ = ["describe_difference", "list_files", "list_photos", "write_photo_list"]


def list_photos(dataset: BaseDataset) -> list[str] | None:
    """Return the ids (or paths) of a data set's photos in order; None if it has neither."""
    photos = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        photo = info.get("image_id", info.get("img_path"))
        if photo is None:
            return None
        photos.append(str(photo))
    return photos


def list_files(dataset: BaseDataset) -> list[str]:
    """Return the id of each photo, a tab, and the bytes of its file; 0 bytes if it is missing."""
    items = map(dataset.get_data_info, range(len(dataset)))
    return [f"{item['image_id']}\t{_size(item['img_path'])}" for item in items]


def write_photo_list(folder: Path, photos: list[str]) -> str:
    """Write ``<folder>/<digest>.txt.gz`` if it is missing; return the list's SHA-256 digits."""
    text = "\n".join(photos).encode()
    digest = hashlib.sha256(text).hexdigest()
    path = _path(folder, digest)
    if not path.exists():
        with atomic_write(path) as file:
            file.write(gzip.compress(text, compresslevel=6, mtime=0))
    return digest


def describe_difference(folder: Path, digest: str, photos: list[str]) -> str | None:
    """Describe changes of the photos since they were listed, with counts and examples.

    Args:
        folder: folder of the earlier list.
        digest: digest of the earlier list.
        photos: current ids, or the result of `list_files`, whichever was listed.

    Returns:
        A phrase; None if nothing changed.
    """
    if hashlib.sha256("\n".join(photos).encode()).hexdigest() == digest:
        return None
    try:
        listed = gzip.decompress(_path(folder, digest).read_bytes()).decode().split("\n")
    except (OSError, EOFError, ValueError):
        return f"their list differs; there are {len(photos)} now"
    before, now = (dict(map(_id_and_size, lines)) for lines in (listed, photos))
    gone, new = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
    changed = sorted(name for name in before.keys() & now.keys() if before[name] != now[name])
    if not gone and not new and not changed:
        return f"there are the same {len(before)}, in another order"
    text = f"of {len(before)} then, {_counted(gone, 'gone now')}, and {_counted(new, 'new')}"
    return text + (f"; {_counted(changed, 'changed')}" if changed else "")


def _counted(names: list[str], what: str) -> str:
    if not names:
        return f"none are {what}"
    return f"{len(names)} {'is' if len(names) == 1 else 'are'} {what} ({shorten(names, 3)})"


def _id_and_size(line: str) -> tuple[str, str]:
    name, _, size = line.partition("\t")
    return name, size


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _path(folder: Path, digest: str) -> Path:
    return folder / f"{digest[:16]}.txt.gz"
