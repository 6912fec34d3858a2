"""What the outputs of a stage's steps were made from, so that damage and other origins are told."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path

from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log

from luss.errors import LussError
from luss.files import file_digest, read_json, write_json
from luss.ranks import main_process_decides

__all__ = ["StepRecord"]


class StepRecord:
    """``made.json``: output -> SHA-256 of the file, and the digests of what it was made from.

    An output is valid while both fit: a bit that flips in a file tells itself, and what is made
    anew takes along all that was made from another version of it. Written by the main process.

    Args:
        folder: of the outputs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "made.json"

    def ensure(
        self, output: str, sources: dict[str, str], make: Callable[[], None]
    ) -> dict[str, str]:
        """Make an output, unless it is whole and made from the same. Called by all processes.

        Args:
            output: name of a file or folder.
            sources: name -> digest of what it must be made from.
            make: makes it; of a folder, it may be the beginning alone.

        Returns:
            The output's name -> its digest.
        """
        fault = self.fault(output, sources) if is_main_process() else None
        if fault := main_process_decides(fault):
            path = self.folder / output
            if path.exists():
                print_log(f"{path} {fault}: it is made anew", "current", level=logging.WARNING)
            # Ranks must look before any of them writes.
            barrier()
            make()
            barrier()
            if is_main_process():
                self.note(output, sources)
        digest = self.digest(output) if is_main_process() else None
        return {output: main_process_decides(digest)}

    def fault(self, output: str, sources: dict[str, str]) -> str | None:
        """What is wrong with an output: a sentence without its subject; None if it is valid.

        Args:
            output: name of a file, or of a folder, into which is not looked.
            sources: name -> digest of what it must be made from.
        """
        path = self.folder / output
        if not path.exists():
            return "is missing"
        noted = self._read().get(output)
        if not isinstance(noted, dict):
            return "has no record of what it was made from"
        if noted.get("made_from") != sources:
            return f"was made from other {' or '.join(sources)}"
        if path.is_file() and noted.get("sha256") != file_digest(path):
            return "is damaged, or was changed since it was made"
        return None

    def note(self, output: str, sources: dict[str, str]) -> None:
        """Note that an output is whole."""
        path = self.folder / output
        digest = {"sha256": file_digest(path)} if path.is_file() else {}
        write_json(self.path, {**self._read(), output: {**digest, "made_from": sources}})

    def digest(self, output: str) -> str:
        """The digest of an output that is valid; of a folder, that of what it was made from."""
        noted = self._read()[output]
        origin = json.dumps(noted["made_from"], sort_keys=True).encode()
        return noted.get("sha256", hashlib.sha256(origin).hexdigest())

    def _read(self) -> dict:
        if not self.path.exists():
            return {}
        try:
            return read_json(self.path)
        except LussError as error:
            print_log(f"{error}; its outputs are made anew", "current", level=logging.WARNING)
            self.path.unlink()
            return {}
