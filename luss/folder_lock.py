"""A folder that one process has alone."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from luss.errors import LussError
from luss.files import MARK, output_folder

__all__ = ["LOCK", "alone_in"]

LOCK = MARK
"""Name of the file in the folder."""


@contextlib.contextmanager
def alone_in(folder: Path, option: str) -> Iterator[None]:
    """Have a folder alone, until the end of the body or of the process; it is made if need be.

    Args:
        folder: where is written.
        option: that names the folder, for messages.

    Raises:
        LussError: if another process has it, or it cannot be one's own.
    """
    output_folder(folder, option)
    folder.mkdir(parents=True, exist_ok=True)
    lock = _open(folder / LOCK)
    try:
        try:
            # A POSIX lock: it ends with this process, though data loaders may outlive it.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LussError(
                f"another process is working in {folder}; wait for it, or choose another {option}"
            ) from error
        yield
    finally:
        os.close(lock)


def _open(path: Path) -> int:
    """Open the lock file, and refuse a link that would lead writing out of the folder."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LussError(f"{path} is a link, expected a file; remove it") from error
        raise
