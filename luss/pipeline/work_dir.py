"""The run's folder: recorded settings, finished stages, process lock."""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from luss.configuration import read_config, write_config
from luss.datasets.imagenet_s import SPLITS
from luss.datasets.photo_listing import is_output_folder
from luss.datasets.split_root import holds_photo
from luss.engine.stage_note import read_note
from luss.errors import LussError
from luss.files import read_json, remove_unfinished, write_json
from luss.folder_lock import lock_folder
from luss.ranks import main_process_decides

__all__ = ["WorkDir", "config_hash", "main_process_decides"]

_RECORD = "pipeline.json"
_WARNING = 30


def config_hash(identities: dict[str, dict]) -> str:
    """Return sixteen hexadecimal digits that are equal for runs with equal results.

    Args:
        identities: stage -> the settings that its output depends on.
    """
    return hashlib.sha256(json.dumps(identities, sort_keys=True).encode()).hexdigest()[:16]


class WorkDir:
    """A run's folder.

    Args:
        root: the folder; made when locked. ``~`` is the home folder.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser()

    def stage(self, name: str) -> Path:
        """Folder of a stage."""
        return self.root / name

    @property
    def photos(self) -> Path:
        """Folder of the lists of photos that stages saw."""
        return self.root / "photos"

    def require_no_photos(self, photos: str | Path | None) -> None:
        """Check that the folder is not among photos, before anything is written into it.

        Args:
            photos: the folder of the run's photos, if it is known.

        Raises:
            LussError: if it is that folder, or contains photos or parts of that folder.
        """
        root = self.root.resolve()
        photos = None if photos is None else Path(photos).expanduser().resolve()
        if root == photos:
            reason = "is the folder of the photos"
        elif not root.is_dir() or is_output_folder(root):
            return
        elif holds_photo(root) or any(_holds_photo_below(root)):
            reason = "contains photos"
        elif photos is not None and root.is_relative_to(photos) and any(root.iterdir()):
            reason = f"is a part of the photos' folder {photos}"
        else:
            return
        raise LussError(
            f"--work-dir {self.root} {reason}, and outputs would be mixed with photos; choose a "
            f"new folder, such as --work-dir {self.root / 'run'}"
        )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder until the end of the body or of the process.

        Raises:
            LussError: if another process has it, or it cannot be one's own.
        """
        conflict = None
        with contextlib.ExitStack() as held:
            if is_main_process():
                try:
                    held.enter_context(lock_folder(self.root, "--work-dir"))
                    self._require_no_links()
                except LussError as error:
                    conflict = str(error)
            if conflict := main_process_decides(conflict):
                raise LussError(conflict)
            if is_main_process():
                remove_unfinished(self.root)
            yield

    def _require_no_links(self) -> None:
        """Reject links through which files outside of the folder would be written."""
        for name in ("run.log", _RECORD):
            if (self.root / name).is_symlink():
                raise LussError(
                    f"{self.root / name} is a link, which luss would write through; remove it"
                )

    def recorded(self) -> dict[str, dict]:
        """Return the settings that each stage began with; empty without a sound record.

        A damaged record is logged and then replaced by the current settings.
        """
        path = self.root / _RECORD
        if not path.exists():
            return {}
        try:
            stages = read_json(path).get("stages")
        except LussError as error:
            stages = None
            reason = str(error)
        else:
            reason = f"{path} has no 'stages'"
        if not isinstance(stages, dict):
            message = f"{reason}; it is replaced, and earlier settings could not be compared"
            print_log(message, "current", level=_WARNING)
            return {}
        return stages

    def differences(self, identities: dict[str, dict], begun: Iterable[str]) -> dict[str, list]:
        """How the settings of stages that have begun differ from those they were begun with.

        Args:
            identities: stage -> the settings that its output depends on, now.
            begun: names of stages.

        Returns:
            Stage -> phrases such as 'seed: was 3, now 4', for stages that differ.
        """
        before = self.recorded()
        found = {
            name: list(_differences(before[name], identities[name]))
            for name in begun
            if name in before
        }
        return {name: phrases for name, phrases in found.items() if phrases}

    def record(self, config: Config, identities: dict[str, dict]) -> None:
        """Write down the settings, where they are not written down already."""
        content = {"config_hash": config_hash(identities), "stages": identities}
        path = self.root / _RECORD
        with contextlib.suppress(LussError):
            if path.exists() and read_json(path) == content:
                return
        write_config(self.root / "config.py", config)
        write_json(path, content)

    def config(self, options: dict[str, Any] | None = None) -> Config:
        """Return the run's configuration, its stages in the order in which they run.

        Args:
            options: as ``--cfg-options`` gives them.

        Raises:
            LussError: if there is none, or as :func:`luss.configuration.read_config`.
        """
        path = self.root / "config.py"
        if not path.is_file():
            raise LussError(f"{self.root} is not the work dir of a run: {path} is missing")
        config = read_config(str(path), options)
        stages = config.stages
        # Earlier versions listed the stages of config.py by the alphabet, but not those recorded.
        if list(stages) == sorted(stages) and (recorded := self.recorded()).keys() == stages.keys():
            ordered = type(stages)({name: stages[name] for name in recorded})
            config._cfg_dict["stages"] = ordered
        return config

    def is_done(self, stage: str) -> bool:
        """Return whether a stage is finished."""
        return (self.stage(stage) / "done.json").exists()

    def facts(self, stage: str) -> dict:
        """Return the facts that a finished stage has noted.

        Raises:
            LussError: as :func:`luss.engine.stage_note.read_note`.
        """
        return read_note(self.stage(stage) / "done.json")

    def outputs(self, stage: str | None = None) -> dict[str, Path]:
        """Return role -> path of the outputs of finished stages, as far as they still exist.

        Args:
            stage: only of this stage; by default of all, where the first stage of the config that
                has an output of a role stands for it.

        Raises:
            LussError: if a stage's note is damaged.
        """
        found: dict[str, Path] = {}
        for name in self._finished() if stage is None else [stage]:
            if self.is_done(name):
                for role, file in self.facts(name).get("outputs", {}).items():
                    path = self.stage(name) / file
                    if path.exists():
                        found.setdefault(role, path)
        return found

    def trained(self) -> dict[str, Path]:
        """Return name -> folder of the finished stages that have a checkpoint, in order."""
        names = [name for name in self._finished() if "checkpoint" in self.outputs(name)]
        return {name: self.stage(name) for name in names}

    def _finished(self) -> list[str]:
        """Return the finished stages in the config's order, then those that a command added."""
        added = sorted(path.parent.name for path in self.root.glob("*/done.json"))
        return [name for name in dict.fromkeys([*self.recorded(), *added]) if self.is_done(name)]

    def mark_done(self, stage: str, facts: dict) -> None:
        """Record that a stage is finished; the last file that a stage writes."""
        if is_main_process():
            write_json(self.stage(stage) / "done.json", facts)

    def invalidate(self, stage: str) -> None:
        """Mark a stage as unfinished, so that it is recomputed or resumed."""
        (self.stage(stage) / "done.json").unlink(missing_ok=True)


def _holds_photo_below(root: Path) -> Iterator[bool]:
    """Yield for folders of a split root whether they contain photos, first class folders only."""
    for split in SPLITS:
        if (root / split).is_dir():
            folders = sorted(path for path in (root / split).iterdir() if path.is_dir())
            yield holds_photo(root / split)
            yield from map(holds_photo, folders[:3])


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
