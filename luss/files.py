"""Files that are written whole or not at all."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["UNFINISHED", "atomic_write", "remove_unfinished", "write_json"]

UNFINISHED = ".unfinished"
"""Ending of files that a killed process may leave behind; nothing reads them."""


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
        descriptor, unfinished = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED
        )
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


def remove_unfinished(folder: str | os.PathLike) -> None:
    """Remove what killed processes left behind below a folder that no one else writes to."""
    for path in Path(folder).rglob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)
