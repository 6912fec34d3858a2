"""Record of the inputs of a stage's outputs, to detect damaged and stale outputs."""

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
    """``made.json``: output -> SHA-256 of the file, and digests of its inputs.

    An output is valid if both match, so damage is detected, and recomputing an output invalidates
    all outputs computed from it. The main process writes the file.

    Args:
        folder: of the outputs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "made.json"

    def ensure(
        self, output: str, sources: dict[str, str], make: Callable[[], None]
    ) -> dict[str, str]:
        """Compute an output unless it is valid; all processes must call it.

        Args:
            output: name of a file or folder.
            sources: name -> digest of each input.
            make: computes it; for a folder, it may only create the folder.

        Returns:
            The output's name -> its digest.
        """
        fault = self.find_fault(output, sources) if is_main_process() else None
        if fault := main_process_decides(fault):
            path = self.folder / output
            if path.exists():
                print_log(f"{path} {fault}: recomputing it", "current", level=logging.WARNING)
            # All ranks must have checked before any of them writes.
            barrier()
            make()
            barrier()
            if is_main_process():
                self.record(output, sources)
        digest = self.digest(output) if is_main_process() else None
        return {output: main_process_decides(digest)}

    def find_fault(self, output: str, sources: dict[str, str]) -> str | None:
        """Return why an output is invalid, as a predicate; None if it is valid.

        Args:
            output: name of a file or folder; the files in a folder are not checked.
            sources: name -> digest of each input.
        """
        path = self.folder / output
        if not path.exists():
            return "is missing"
        recorded = self._read().get(output)
        if not isinstance(recorded, dict):
            return "has no record of its inputs"
        if recorded.get("made_from") != sources:
            return f"was computed from other {' or '.join(sources)}"
        if path.is_file() and recorded.get("sha256") != file_digest(path):
            return "is damaged or was edited"
        return None

    def record(self, output: str, sources: dict[str, str]) -> None:
        """Record a complete output and its inputs."""
        path = self.folder / output
        digest = {"sha256": file_digest(path)} if path.is_file() else {}
        write_json(self.path, {**self._read(), output: {**digest, "made_from": sources}})

    def digest(self, output: str) -> str:
        """Return the digest of a valid output; for a folder, the digest of its inputs."""
        recorded = self._read()[output]
        origin = json.dumps(recorded["made_from"], sort_keys=True).encode()
        return recorded.get("sha256", hashlib.sha256(origin).hexdigest())

    def _read(self) -> dict:
        if not self.path.exists():
            return {}
        try:
            return read_json(self.path)
        except LussError as error:
            print_log(f"{error}; recomputing its outputs", "current", level=logging.WARNING)
            self.path.unlink()
            return {}
