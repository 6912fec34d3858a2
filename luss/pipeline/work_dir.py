"""The folder of one run: whose it is, which stages are whole, and that one process has it."""

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine import Config
from mmengine.dist import broadcast_object_list, is_main_process

from luss.errors import LussError
from luss.files import atomic_write, remove_unfinished, write_json

__all__ = ["WorkDir", "config_hash", "main_process_decides"]

_VOLATILE = ("work_dir", "launcher", "log_level", "resume", "num_workers", "visualizer")
"""Keys that do not change what a run computes."""


def main_process_decides(value: Any) -> Any:
    """Give every process the value that the main process has."""
    values = [value]
    broadcast_object_list(values)
    return values[0]


def _identity(config: Config) -> dict:
    plain = json.loads(json.dumps(config.to_dict(), default=str, sort_keys=True))
    return {key: value for key, value in plain.items() if key not in _VOLATILE}


def _as_text(config: Config) -> str:
    """A config file of the same settings; MMEngine's own formatting takes a second."""
    settings = config.to_dict()
    return "".join(f"{key} = {pformat(settings[key], width=100)}\n" for key in sorted(settings))


def config_hash(config: Config) -> str:
    """Sixteen hexadecimal digits that tell whether two configs compute the same."""
    return hashlib.sha256(json.dumps(_identity(config), sort_keys=True).encode()).hexdigest()[:16]


class WorkDir:
    """A run's folder.

    Args:
        root: the folder; made when locked.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def stage(self, name: str) -> Path:
        """Folder of a stage."""
        return self.root / name

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Have the folder alone, until the end of the body or of the process.

        Raises:
            LussError: if another process has it.
        """
        refusal = None
        if is_main_process():
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / ".lock").open("w")
            try:
                # A POSIX lock: it ends with this process, though data loaders may outlive it.
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                refusal = (
                    f"another process is working in {self.root}; wait for it, or choose another "
                    "--work-dir"
                )
        if refusal := main_process_decides(refusal):
            raise LussError(refusal)
        try:
            if is_main_process():
                remove_unfinished(self.root)
            yield
        finally:
            if is_main_process():
                lock.close()

    def claim(self, config: Config, has_output: bool) -> None:
        """Note whose folder this is; refuse that of another config.

        Args:
            config: of this run.
            has_output: whether there is anything in it that another run has made; if not, the
                folder is taken over.

        Raises:
            LussError: naming the first settings that differ.
        """
        path = self.root / "pipeline.json"
        identity = _identity(config)
        refusal = None
        if is_main_process() and path.exists() and has_output:
            refusal = self._refusal(_read_json(path).get("config", {}), identity)
        if refusal := main_process_decides(refusal):
            raise LussError(refusal)
        if is_main_process() and not (has_output and path.exists()):
            with atomic_write(self.root / "config.py") as file:
                file.write(_as_text(config).encode())
            write_json(path, {"config_hash": config_hash(config), "config": identity})

    def _refusal(self, before: dict, identity: dict) -> str | None:
        differences = list(_differences(before, identity))
        if not differences:
            return None
        return (
            f"{self.root} belongs to a run of another config. It differs in "
            + "; ".join(differences[:5])
            + ("" if len(differences) <= 5 else f"; and {len(differences) - 5} more")
            + ". Choose another --work-dir, or run with the old settings"
        )

    def is_done(self, stage: str) -> bool:
        """Whether a stage's output is whole."""
        return (self.stage(stage) / "done.json").exists()

    def facts(self, stage: str) -> dict:
        """What a stage that is whole has noted about itself."""
        return _read_json(self.stage(stage) / "done.json")

    def mark_done(self, stage: str, facts: dict) -> None:
        """Note that a stage's output is whole; the last thing that a stage writes."""
        if is_main_process():
            write_json(self.stage(stage) / "done.json", facts)


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise LussError(f"{path} is damaged ({error}); choose another --work-dir") from error
    if not isinstance(content, dict):
        raise LussError(f"{path} is damaged (no JSON object); choose another --work-dir")
    return content


def _differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            below = f"{path}.{key}" if path else key
            yield from _differences(before.get(key, "nothing"), after.get(key, "nothing"), below)
    elif before != after:
        yield f"{path}: was {_short(before)}, now {_short(after)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
