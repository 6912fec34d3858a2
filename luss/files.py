"""Checks of output paths, atomic files, and strict JSON."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from luss.errors import LussError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MARK",
    "UNFINISHED",
    "atomic_write",
    "create_output_folder",
    "file_digest",
    "is_system_name",
    "output_file",
    "output_folder",
    "parse_json",
    "read_arrays",
    "read_json",
    "remove_temporary_folders",
    "remove_unfinished",
    "temporary_folder",
    "write_json",
]

UNFINISHED = ".unfinished"
"""Suffix of temporary files that a killed process leaves behind; nothing reads them."""

MARK = ".luss"
"""File in each folder that luss creates for its outputs; pictures below it are not photos."""

_temporary_folders: set[str] = set()

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
    """Return whether a name is hidden, or added by an operating system or an archiver."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def output_folder(path: str | os.PathLike, option: str) -> Path:
    """Check that a folder is writable or can be created; nothing is created.

    Every command calls this or `output_file` for all of its outputs before it starts.

    Args:
        path: of the folder; ``~`` is the home folder.
        option: name of the option, for the message.

    Returns:
        The path.

    Raises:
        LussError: if the folder is not writable.
    """
    path = Path(path).expanduser()
    _require_writable(path, path, option)
    return path


def create_output_folder(path: Path) -> None:
    """Create a folder for outputs, and mark it as one if it is new or empty."""
    path.mkdir(parents=True, exist_ok=True)
    if not any(path.iterdir()):
        (path / MARK).touch()


def output_file(path: str | os.PathLike, option: str, replace: bool = False) -> Path:
    """Check that a file can be written; nothing is created. See `output_folder`.

    Args:
        path: of the file; ``~`` is the home folder.
        option: name of the option, for the message.
        replace: whether the file may exist.

    Returns:
        The path.

    Raises:
        LussError: if the file cannot be written, or exists and may not be replaced.
    """
    path = Path(path).expanduser()
    _require_writable(path, path.parent, option)
    if path.is_dir() or (path.exists() and not path.is_file()):
        what = "it is a folder" if path.is_dir() else "it is not a regular file"
        raise LussError(_cannot_write(path, option, f"{what}, expected the path of a file"))
    if os.path.lexists(path) and not replace:
        raise LussError(f"{option} {path} exists; choose another path, or replace it with --force")
    return path


def _require_writable(path: Path, folder: Path, option: str) -> None:
    """Check that a folder exists or can be created, and that files can be written to it."""
    try:
        above = next(part for part in (folder, *folder.parents) if os.path.lexists(part))
        if not above.is_dir():
            what = "file" if above.exists() else "broken link"
            where = "it" if above == path else str(above)
            raise LussError(_cannot_write(path, option, f"{where} is a {what}, expected a folder"))
        for name in path.relative_to(above).parts:
            # Raises an error if the name is too long.
            with contextlib.suppress(FileNotFoundError):
                (above / name).lstat()
        # Access rights are not reliable for root and on some file systems.
        tempfile.TemporaryFile(dir=above).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LussError(_cannot_write(path, option, reason)) from error


def _cannot_write(path: Path, option: str, reason: str) -> str:
    return f"cannot write to {option} {path}: {reason}; choose another path"


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a binary file that replaces ``path`` once it is complete and on disk.

    If the body raises or the disk is full, ``path`` stays as it was, and the temporary file is
    removed.

    Args:
        path: the file to write; its folder is created.

    Yields:
        The open file.

    Raises:
        OSError: if writing fails; ``filename`` is ``path`` if the system gives none.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name derived from the file's own could be too long.
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
    """Write ``content`` as indented JSON, atomically.

    Raises:
        ValueError: if ``content`` contains NaN or infinity, which JSON does not have.
    """
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with atomic_write(path) as file:
        file.write(text.encode())


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """Read a JSON object; see `parse_json`.

    Raises:
        LussError: if the file is missing, unreadable, or not a JSON object.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise LussError(f"cannot read {path}: {error.strerror}") from error
    return parse_json(content, path)


def parse_json(content: bytes, path: str | os.PathLike) -> dict[str, Any]:
    """Parse an untrusted JSON object.

    Args:
        content: of the file.
        path: of the file, for messages.

    Raises:
        LussError: if it is damaged, not an object, nested too deeply, contains NaN or infinity, or
            a key twice (Python's parser keeps the last one).
    """
    try:
        parsed = json.loads(
            content, object_pairs_hook=_unique_keys, parse_constant=_reject_constant
        )
    except RecursionError as error:
        raise LussError(f"cannot read {path}: its JSON is nested too deeply") from error
    except ValueError as error:
        raise LussError(f"{path} is damaged or not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise LussError(f"{path} contains a JSON {type(parsed).__name__}, expected an object")
    return parsed


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} occurs twice")
        found[key] = value
    return found


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def read_arrays(path: str | os.PathLike, *names: str) -> "list[NDArray]":
    """Read arrays of a ``.npz`` file.

    Args:
        path: of the file.
        names: of the arrays.

    Raises:
        LussError: if the file is missing or damaged, or lacks one of them.
    """
    # The help imports this module, and importing NumPy is slow.
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except Exception as error:  # zipfile, zlib and numpy raise many kinds
        raise LussError(
            f"cannot read {' and '.join(names)} from {path}: {' '.join(str(error).split())}. "
            "Restore the file, or delete it and the done.json next to it, and run with --resume to "
            "recompute it"
        ) from error


def file_digest(path: str | os.PathLike, length: int | None = None) -> str:
    """Return the SHA-256 of a file, or of its first ``length`` bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    with Path(path).open("rb") as file:
        left = os.fstat(file.fileno()).st_size if length is None else length
        while left > 0 and (count := file.readinto(buffer[: min(left, len(buffer))])):
            digest.update(buffer[:count])
            left -= count
    return digest.hexdigest()


def remove_unfinished(folder: str | os.PathLike) -> None:
    """Remove temporary files of killed processes from a folder that no other process writes to."""
    for path in sorted(Path(folder).rglob(f".*{UNFINISHED}")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(where: str | os.PathLike | None = None) -> Iterator[str]:
    """Create a folder that is deleted after the block, and by `remove_temporary_folders`.

    Args:
        where: parent folder; `remove_unfinished` finds it there after a kill. By default the
            system's folder for temporary files.
    """
    with tempfile.TemporaryDirectory(dir=where, prefix=".luss_", suffix=UNFINISHED) as folder:
        _temporary_folders.add(folder)
        try:
            yield folder
        finally:
            _temporary_folders.discard(folder)


def remove_temporary_folders() -> None:
    """Delete the temporary folders in use, before this process exits without cleanup."""
    for folder in _temporary_folders:
        shutil.rmtree(folder, ignore_errors=True)
