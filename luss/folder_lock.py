"""Lock of a folder for one process."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from luss.errors import LussError
from luss.files import MARK, output_folder

__all__ = ["LOCK", "lock_folder"]

LOCK = MARK
"""Name of the file in the folder."""


@contextlib.contextmanager
def lock_folder(folder: Path, option: str) -> Iterator[None]:
    """Lock a folder until the end of the block or of the process; create it if missing.

    Args:
        folder: to lock.
        option: name of the option, for messages.

    Raises:
        LussError: if another process holds the lock, or the folder is not writable.
    """
    output_folder(folder, option)
    folder.mkdir(parents=True, exist_ok=True)
    lock = _open(folder / LOCK)
    try:
        try:
            # A POSIX lock ends with this process, even if data loaders outlive it.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LussError(
                f"another process is working in {folder}; wait for it, or choose another {option}"
            ) from error
        yield
    finally:
        os.close(lock)


def _open(path: Path) -> int:
    """Open the lock file; reject a symbolic link, which could point outside of the folder."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LussError(f"{path} is a link, expected a file; remove it") from error
        raise
