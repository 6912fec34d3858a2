"""Zip files of the masks of ImageNet-S."""

import hashlib
import lzma
import os
import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from luss.datasets.mask_codec import PNG_HEAD, check_png
from luss.errors import LussError
from luss.files import atomic_write

__all__ = ["LARGEST_FILE", "read_entry", "unpack_masks"]

LARGEST_FILE = 1 << 26
"""Largest accepted size of a PNG mask in bytes; real masks have some thousands."""

_MOST_TIMES = 100

_MASK = re.compile(
    r"^(?:.*/)?ImageNetS(\d+)/((?:train-semi|validation)-segmentation/[^/.]+/[^/.][^/]*\.png)$"
)
_MD5 = re.compile(r"-([0-9a-fA-F]{8,32})$")


def unpack_masks(archive: str | os.PathLike, roots: dict[int, Path]) -> dict[int, int]:
    """Unpack the masks of some split roots; keep files that are already equal.

    Args:
        archive: a zip ``ImageNetS<C>-<md5>.zip`` with entries
            ``ImageNetS<C>/{train-semi,validation}-segmentation/<class folder>/<image>.png``.
        roots: number of classes C -> the split root. Masks of other numbers are skipped.

    Returns:
        C -> number of its masks in the archive.

    Raises:
        LussError: before anything is written, if the md5 differs from the name, an entry leaves
            the folder, is a link or encrypted, or a mask is not a PNG or too large; or if the zip
            is damaged.
    """
    path = Path(archive)
    if not path.is_file():
        raise LussError(f"the zip {path} with annotations is missing")
    _check_md5(path)
    counts: dict[int, int] = {}
    try:
        with zipfile.ZipFile(path) as content:
            entries = content.infolist()
            for entry in entries:
                _check_entry(path, entry)
            masks = []
            for entry in entries:
                found = _MASK.match(entry.filename)
                if found is None or entry.is_dir() or int(found[1]) not in roots:
                    continue
                split = int(found[1])
                counts[split] = counts.get(split, 0) + 1
                masks.append((entry, roots[split] / found[2]))
            _check_total([entry for entry, _ in masks], path)
            for entry, _ in masks:
                check_png(read_entry(content, entry, LARGEST_FILE, PNG_HEAD), entry.filename)
            for entry, target in masks:
                _unpack(content, entry, target)
    except (zipfile.BadZipFile, EOFError) as error:
        raise LussError(f"the zip {path} is damaged: {error}. Download it again") from error
    return counts


def _check_md5(path: Path) -> None:
    named = _MD5.search(path.stem)
    if named is None:
        raise LussError(
            f"the name of {path} contains no md5, unlike ImageNetS50-<md5>.zip, so the file cannot "
            "be checked. Restore its published name"
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if not found.startswith(named[1].lower()):
        raise LussError(
            f"the zip {path} has the md5 {found}, expected {named[1]}. Download it again"
        )


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    leaves = name.is_absolute() or ".." in name.parts or ":" in entry.filename
    if leaves or stat.S_ISLNK(entry.external_attr >> 16):
        raise LussError(
            f"the zip {path} contains {entry.filename!r}, which leaves the target folder. Nothing "
            "was unpacked; do not trust this file"
        )


def read_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int, count: int = -1
) -> bytes:
    """Read a file of an untrusted zip.

    Args:
        archive: the zip.
        entry: the file in it.
        limit: largest accepted size in bytes after unpacking.
        count: bytes to read, by default all.

    Raises:
        LussError: if it is encrypted, too large, damaged, or compressed in an unknown way.
    """
    if entry.flag_bits & 1:
        raise LussError(f"{entry.filename} is encrypted. Zip it again without a password")
    if entry.file_size > limit:
        raise LussError(
            f"{entry.filename} unpacks to {entry.file_size:,} bytes, expected at most {limit:,}"
        )
    try:
        with archive.open(entry) as file:
            return file.read(count)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise LussError(f"{entry.filename} is damaged: {error}") from error
    except (NotImplementedError, RuntimeError) as error:
        raise LussError(f"{entry.filename} cannot be unpacked: {error}") from error


def _check_total(entries: list[zipfile.ZipInfo], path: Path) -> None:
    total, size = sum(entry.file_size for entry in entries), path.stat().st_size
    if total > _MOST_TIMES * size:
        raise LussError(
            f"the zip {path} of {size:,} bytes unpacks to {total:,} bytes, over {_MOST_TIMES} "
            "times as many, unlike masks. Nothing was unpacked; do not trust this file"
        )


def _unpack(content: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    same_size = target.is_file() and target.stat().st_size == entry.file_size
    if same_size and zlib.crc32(target.read_bytes()) == entry.CRC:
        return
    mask = read_entry(content, entry, LARGEST_FILE)
    with atomic_write(target) as file:
        file.write(mask)
