"""Files that are written whole or not at all, and JSON that is read strictly."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from luss.errors import LussError

__all__ = [
    "UNFINISHED",
    "atomic_write",
    "file_digest",
    "is_system_name",
    "parse_json",
    "read_json",
    "remove_unfinished",
    "write_json",
]

UNFINISHED = ".unfinished"
"""Ending of files that a killed process may leave behind; nothing reads them."""

_SYSTEM_NAMES = frozenset(
    name.casefold()
    for name in (
        "__MACOSX",
        "@eaDir",
        "#recycle",
        "$RECYCLE.BIN",
        "lost+found",
        "System Volume Information",
        "Thumbs.db",
        "desktop.ini",
    )
)


def is_system_name(name: str) -> bool:
    """Whether a file or folder is hidden, or one that a system or an archiver adds by itself."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of ``path`` only once it is whole and on disk.

    If the body raises, or the disk is full, what stood at ``path`` before stays, and the
    unfinished file is removed.

    Args:
        path: the file to write; its folder is created.

    Yields:
        The open file.

    Raises:
        OSError: if the disk fails; ``filename`` is ``path``, also where the system names none.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name made of the file's own could become longer than a file system allows.
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=UNFINISHED)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            Path(unfinished).chmod(0o666 & ~umask)
            Path(unfinished).replace(path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno is not None and error.filename is None:
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write ``content`` as indented JSON, whole or not at all.

    Raises:
        ValueError: if ``content`` holds NaN or infinity, which JSON cannot say.
    """
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with atomic_write(path) as file:
        file.write(text.encode())


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """Read a JSON object; see `parse_json`.

    Raises:
        LussError: if the file is missing, unreadable or no such object.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise LussError(f"cannot read {path}: {error.strerror}") from error
    return parse_json(content, path)


def parse_json(content: bytes, path: str | os.PathLike) -> dict[str, Any]:
    """Parse a JSON object that may come from anybody.

    Args:
        content: of the file.
        path: of the file, for messages.

    Raises:
        LussError: if it is damaged, no object, nested too deeply, says NaN or infinity, or has a
            key twice (of which Python's parser would silently keep the last).
    """
    try:
        parsed = json.loads(
            content, object_pairs_hook=_without_twins, parse_constant=_refuse_constant
        )
    except RecursionError as error:
        raise LussError(f"{path} is no JSON to read: it is nested too deeply") from error
    except ValueError as error:
        raise LussError(f"{path} is damaged or no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise LussError(f"{path} holds a JSON {type(parsed).__name__}, expected an object")
    return parsed


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} occurs twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def file_digest(path: str | os.PathLike, length: int | None = None) -> str:
    """SHA-256 of a file, or of its first ``length`` bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    with Path(path).open("rb") as file:
        left = os.fstat(file.fileno()).st_size if length is None else length
        while left > 0 and (count := file.readinto(buffer[: min(left, len(buffer))])):
            digest.update(buffer[:count])
            left -= count
    return digest.hexdigest()


def remove_unfinished(folder: str | os.PathLike) -> None:
    """Remove what killed processes left behind below a folder that no one else writes to."""
    for path in Path(folder).rglob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)
