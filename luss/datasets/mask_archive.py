"""The zip files in which the masks of ImageNet-S come."""

import hashlib
import os
import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from luss.errors import LussError

__all__ = ["unpack_masks"]

_MASK = re.compile(
    r"^(?:.*/)?ImageNetS(\d+)/((?:train-semi|validation)-segmentation/[^/.]+/[^/.][^/]*\.png)$"
)
_MD5 = re.compile(r"-([0-9a-fA-F]{8,32})$")


def unpack_masks(archive: str | os.PathLike, roots: dict[int, Path]) -> dict[int, int]:
    """Unpack the masks of some split roots; those already there and equal are left alone.

    Args:
        archive: a zip ``ImageNetS<C>-<md5>.zip`` with entries
            ``ImageNetS<C>/{train-semi,validation}-segmentation/<class folder>/<image>.png``.
        roots: number of classes C -> the split root. Masks of others are passed over.

    Returns:
        C -> number of its masks in the archive.

    Raises:
        LussError: before anything is written, if the md5 is not that of the name, or an entry
            would leave the folder or is a link; or if the zip is damaged.
    """
    path = Path(archive)
    if not path.is_file():
        raise LussError(f"there is no file {path} with annotations")
    _check_md5(path)
    counts: dict[int, int] = {}
    try:
        with zipfile.ZipFile(path) as content:
            entries = content.infolist()
            for entry in entries:
                _check_entry(path, entry)
            for entry in entries:
                found = _MASK.match(entry.filename)
                if found is None or entry.is_dir() or int(found[1]) not in roots:
                    continue
                split = int(found[1])
                counts[split] = counts.get(split, 0) + 1
                _unpack(content, entry, roots[split] / found[2])
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise LussError(f"the zip {path} is damaged: {error}; fetch it again") from error
    return counts


def _check_md5(path: Path) -> None:
    named = _MD5.search(path.stem)
    if named is None:
        raise LussError(
            f"the name of {path} holds no md5, as ImageNetS50-<md5>.zip does, so that it cannot be "
            "checked; give the file the name under which it was published"
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if not found.startswith(named[1].lower()):
        raise LussError(
            f"the zip {path} has the md5 {found}, but its name says {named[1]}; fetch it again"
        )


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    leaves = name.is_absolute() or ".." in name.parts or ":" in entry.filename
    if leaves or stat.S_ISLNK(entry.external_attr >> 16):
        raise LussError(
            f"the zip {path} holds {entry.filename!r}, which leads out of the folder it is "
            "unpacked to; nothing was unpacked, do not trust this file"
        )


def _unpack(content: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    same_size = target.is_file() and target.stat().st_size == entry.file_size
    if same_size and zlib.crc32(target.read_bytes()) == entry.CRC:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    try:
        unfinished.write_bytes(content.read(entry))
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
