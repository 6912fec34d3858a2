"""Listing of photos in a folder, with a report of skipped files.

Files are judged by name and file type, since there may be a million. Hidden and system files
(``luss.files.is_system_name``) are skipped silently.
"""

import functools
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.logging import MMLogger, print_log

from luss.datasets.image_io import IMAGE_SUFFIXES, MAX_PIXELS, split_suffix
from luss.errors import LussError, printable, shorten
from luss.files import MARK, is_system_name, read_json

__all__ = [
    "LONGEST_NAME",
    "Tally",
    "check_names",
    "is_output_folder",
    "log_once",
    "photo_outside",
    "walk_photos",
]

_SHOWN = 10
_RECORDS = {
    "pipeline.json": ("config_hash",),
    "settings.json": ("model", "categories", "outputs"),
    "sweep.json": ("protocols",),
}
"""Record files of runs, predictions and sweeps -> some of their keys."""

LONGEST_NAME = 255
"""Longest file name on Linux, in bytes."""

_PHOTO_KINDS = frozenset(
    f".{kind}"
    for kind in (
        *("heic", "heif", "hif", "avif", "webp", "jp2", "j2k", "jxl", "jxr", "svg", "psd", "xcf"),
        *("ico", "tga", "raw", "dng", "cr2", "cr3", "nef", "nrw", "arw", "srw", "orf", "rw2"),
        *("raf", "pef", "x3f", "3fr", "exr", "hdr"),
    )
)
"""Suffixes of photos that PIL may not read; skipped with a warning."""


@dataclass
class Tally:
    """Counts of photos in a folder, and of skipped files by reason.

    Attributes:
        photos: photos found, by suffix.
        unread: photos of kinds that PIL does not read, by suffix.
        others: other files, by suffix.
        no_files: paths with a photo's suffix that are not regular files.
        too_large: paths of photos with too many pixels.
        stray: photos outside of class folders.
        outputs: folders that luss created.
    """

    photos: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    no_files: list[str] = field(default_factory=list)
    too_large: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def takes(self, path: str, is_file: bool) -> bool:
        """Count a file, and return whether it is a photo.

        Args:
            path: path or name of the file.
            is_file: whether it is a regular file, or a link to one.
        """
        name = path.rpartition("/")[2]
        if is_system_name(name):
            return False
        _, suffix = split_suffix(name)
        if suffix not in IMAGE_SUFFIXES:
            (self.unread if suffix in _PHOTO_KINDS else self.others)[suffix] += 1
            return False
        if not is_file:
            self.no_files.append(path)
            return False
        self.photos[suffix] += 1
        return True

    def log(self, where: str | os.PathLike) -> None:
        """Log the counts of the folder ``where``, and warn of skipped photos."""
        where = printable(str(where))
        found = f"{where}: {_counted(self.photos, 'photo')}"
        if self.others:
            found += f"; {_counted(self.others, 'other file')} skipped"
        if self.outputs:
            found += f"; folders that luss created are skipped: {shorten(self.outputs)}"
        log_once(found)
        skipped = []
        if self.unread:
            skipped.append(
                f"{_counted(self.unread, 'photo')} of kinds that the installed Pillow does not "
                "read (save them as JPEG or PNG)"
            )
        if self.no_files:
            skipped.append(
                f"{len(self.no_files)} that are not regular files, such as named pipes or broken "
                f"links: {shorten(self.no_files)}"
            )
        if self.too_large:
            skipped.append(
                f"{len(self.too_large)} of more than {MAX_PIXELS // 10**6} megapixels (make them "
                f"smaller): {shorten(self.too_large)}"
            )
        if self.stray:
            skipped.append(
                f"{len(self.stray)} outside of class folders (move them into one): "
                f"{shorten(self.stray)}"
            )
        if skipped:
            log_once(f"{where}: skipped photos: {'; '.join(skipped)}", logging.WARNING)


def walk_photos(root: Path, tally: Tally) -> Iterator[str]:
    """Yield the relative paths of all photos below a folder.

    Links to folders are followed, but each folder is read once. Folders that luss created are
    skipped, since their pictures are not photos.

    Args:
        root: the folder.
        tally: counts all files.

    Raises:
        LussError: if a folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise LussError(
            f"cannot list the folder {printable(error.filename)}: {error.strerror}. Make it "
            "readable, or move it elsewhere"
        ) from error

    entered: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(root, followlinks=True, onerror=fail):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        below = os.path.relpath(parent, root)
        prefix = "" if below == "." else f"{below}/"
        if prefix and is_output_folder(parent):
            tally.outputs.append(below)
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not is_system_name(name))
        for name in sorted(names):
            if tally.takes(prefix + name, Path(parent, name).is_file()):
                yield prefix + name


def photo_outside(root: Path, folders: Collection[str]) -> str | None:
    """Return a photo below ``root`` outside of ``folders`` and of output folders, or None."""
    with os.scandir(root) as entries:
        others = sorted(
            entry.name
            for entry in entries
            if not is_system_name(entry.name) and entry.name not in folders
        )
    for name in others:
        path = root / name
        if path.is_file() and Tally().takes(name, True):
            return str(path)
        if path.is_dir() and not is_output_folder(path):
            photo = next(walk_photos(path, Tally()), None)
            if photo is not None:
                return str(path / photo)
    return None


def is_output_folder(folder: str | os.PathLike) -> bool:
    """Return whether luss created a folder, such as a run or predictions.

    It contains `luss.files.MARK`, or a record with known keys.
    """
    return Path(folder, MARK).is_file() or any(
        _has_keys(Path(folder, name), keys) for name, keys in _RECORDS.items()
    )


def _has_keys(path: Path, keys: Collection[str]) -> bool:
    try:
        return path.is_file() and read_json(path).keys() >= set(keys)
    except LussError:
        return False


def check_names(names: Iterable[tuple[str, str]], root: str | os.PathLike) -> None:
    """Check that ``<image id>.png`` is a valid file name for each photo.

    Args:
        names: path below ``root`` and image id of each photo.
        root: for the message.

    Raises:
        LussError: with up to ten photos whose name is not UTF-8 or too long.
    """
    unnameable, long = [], []
    for path, image_id in names:
        try:
            path.encode()
        except UnicodeEncodeError:
            unnameable.append(path)
            continue
        if len(image_id.rpartition("/")[2].encode()) > LONGEST_NAME - len(".png"):
            long.append(path)
    if unnameable:
        raise LussError(
            f"{len(unnameable)} photos in {root} have names that are not UTF-8: "
            f"{shorten(unnameable)}. Rename these files or folders"
        )
    if long:
        raise LussError(
            f"{len(long)} photos in {root} have too long names: names of their masks, with .png, "
            f"would exceed {LONGEST_NAME} bytes: {shorten(long)}. Shorten these names"
        )


def _counted(kinds: Counter[str], what: str) -> str:
    """Return counts by suffix, such as '12 photos (10 .jpg, 2 .tif)'."""
    kinds = +kinds
    total = kinds.total()
    largest = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))[:_SHOWN]
    listed = ", ".join(f"{count:,} {suffix or 'without suffix'}" for suffix, count in largest)
    more = ", ..." if len(kinds) > _SHOWN else ""
    return f"{total:,} {what}{'' if total == 1 else 's'}" + (f" ({listed}{more})" if kinds else "")


def log_once(message: str, level: int = logging.INFO) -> None:
    """Log a message once per log, since a run lists the same photos several times."""
    _log_once(message, level, MMLogger.get_current_instance().instance_name)


@functools.lru_cache(maxsize=1024)
def _log_once(message: str, level: int, log: str) -> None:
    print_log(message, "current", level)
