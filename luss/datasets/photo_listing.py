"""Which files of a folder are photos, and what is said about the others.

Files are judged by name and kind, since there may be a million. Passed over without a word are
hidden files and folders and those that systems add (``luss.files.is_system_name``).
"""

import functools
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.logging import MMLogger, print_log

from luss.datasets.image_io import IMAGE_SUFFIXES, MAX_PIXELS, split_suffix
from luss.errors import LussError
from luss.files import MARK, is_system_name, read_json

__all__ = [
    "LONGEST_NAME",
    "Tally",
    "is_output_folder",
    "photo_outside",
    "printable",
    "refuse_unusable_names",
    "say_once",
    "shown",
    "walk_photos",
]

_SHOWN = 10
_RECORDS = {
    "pipeline.json": ("config_hash",),
    "settings.json": ("model", "categories", "outputs"),
    "sweep.json": ("protocols",),
}
"""Records of runs, predictions and sweeps -> some of their keys."""

LONGEST_NAME = 255
"""Bytes of a file's name that Linux allows."""

_PHOTO_KINDS = frozenset(
    f".{kind}"
    for kind in (
        *("heic", "heif", "hif", "avif", "webp", "jp2", "j2k", "jxl", "jxr", "svg", "psd", "xcf"),
        *("ico", "tga", "raw", "dng", "cr2", "cr3", "nef", "nrw", "arw", "srw", "orf", "rw2"),
        *("raf", "pef", "x3f", "3fr", "exr", "hdr"),
    )
)
"""Suffixes of photos of which some, or all, are left out."""


@dataclass
class Tally:
    """How many photos were found in a folder, and what was left out and why.

    Attributes:
        photos: photos found, by suffix.
        unread: photos of kinds that PIL does not read, by suffix.
        others: files that are no photos, by suffix.
        no_files: paths called like photos that are no regular files.
        too_large: descriptions of photos of too many pixels.
        stray: photos that lie outside of class folders.
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
        """Count a file; whether it is a photo.

        Args:
            path: of the file, or its name.
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

    def say(self, where: str | os.PathLike) -> None:
        """Log what was found in ``where``, and warn of photos that were left out."""
        where = printable(str(where))
        found = f"{where}: {_counted(self.photos, 'photo')}"
        if self.others:
            found += f"; {_counted(self.others, 'other file')} passed over"
        if self.outputs:
            found += f"; folders that luss created are skipped: {shown(self.outputs)}"
        say_once(found)
        left_out = []
        if self.unread:
            left_out.append(
                f"{_counted(self.unread, 'photo')} of kinds that this Pillow does not read "
                "(save them as JPEG or PNG)"
            )
        if self.no_files:
            left_out.append(
                f"{len(self.no_files)} called like photos that are no regular files, such as "
                f"named pipes or broken links: {shown(self.no_files)}"
            )
        if self.too_large:
            left_out.append(
                f"{len(self.too_large)} of more than {MAX_PIXELS // 10**6} megapixels (make them "
                f"smaller): {shown(self.too_large)}"
            )
        if self.stray:
            left_out.append(
                f"{len(self.stray)} outside of class folders (move them into one): "
                f"{shown(self.stray)}"
            )
        if left_out:
            say_once(f"{where}: left out are {'; '.join(left_out)}", logging.WARNING)


def walk_photos(root: Path, tally: Tally) -> Iterator[str]:
    """Yield the paths of all photos below a folder, relative to it.

    Links to folders are followed, but no folder is entered twice. Folders that luss created are
    skipped, as their pictures are no photos.

    Args:
        root: the folder.
        tally: counts what is found.

    Raises:
        LussError: if a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise LussError(
            f"cannot list the folder {printable(error.filename)}: {error.strerror}; make it "
            "readable, or move it out of the photos"
        ) from error

    entered: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(root, followlinks=True, onerror=refuse):
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
    """Return a photo below ``root``, not in ``folders`` or an output folder; None if none."""
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
    """Return whether luss created a folder: a run, predictions, pictures, plots.

    It contains `luss.files.MARK`; those of earlier versions contain records of known keys.
    """
    return Path(folder, MARK).is_file() or any(
        _has_keys(Path(folder, name), keys) for name, keys in _RECORDS.items()
    )


def _has_keys(path: Path, keys: Collection[str]) -> bool:
    try:
        return path.is_file() and read_json(path).keys() >= set(keys)
    except LussError:
        return False


def refuse_unusable_names(names: Iterable[tuple[str, str]], root: str | os.PathLike) -> None:
    """Refuse photos whose masks, ``<image id>.png``, could not be written or named.

    Args:
        names: path below ``root`` and image id of each photo.
        root: for the message.

    Raises:
        LussError: naming up to ten photos.
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
            f"{shown(unnameable)}; rename these files or folders"
        )
    if long:
        raise LussError(
            f"{len(long)} photos in {root} have names so long that their masks, which end in "
            f".png, would exceed {LONGEST_NAME} bytes: {shown(long)}; give them shorter names"
        )


def shown(paths: Sequence[str]) -> str:
    """Up to ten paths for a message."""
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(map(printable, paths[:_SHOWN])) + more


def printable(path: str) -> str:
    r"""Return a path with what is not UTF-8 as \xNN, since it cannot be printed otherwise."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _counted(kinds: Counter[str], what: str) -> str:
    """'12 photos (10 .jpg, 2 .tif)'."""
    kinds = +kinds
    total = kinds.total()
    largest = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))[:_SHOWN]
    listed = ", ".join(f"{count:,} {suffix or 'without suffix'}" for suffix, count in largest)
    more = ", ..." if len(kinds) > _SHOWN else ""
    return f"{total:,} {what}{'' if total == 1 else 's'}" + (f" ({listed}{more})" if kinds else "")


def say_once(message: str, level: int = logging.INFO) -> None:
    """Log a message once in each log, since a run lists the same photos several times."""
    _say(message, level, MMLogger.get_current_instance().instance_name)


@functools.lru_cache(maxsize=1024)
def _say(message: str, level: int, log: str) -> None:
    print_log(message, "current", level)
