"""Inputs of a stage: outputs of other stages, photos, and files that users edit.

Kept as ``inputs.json`` in the stage's folder from its beginning, so that photos that come, go or
change their names, and stages that were recomputed, are noticed.
"""

import json
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.dist import is_main_process

from luss.datasets.photo_lists import describe_difference, listing_settings
from luss.errors import LussError
from luss.files import read_json, write_json
from luss.pipeline.work_dir import WorkDir

__all__ = ["StageInputs"]


@dataclass
class StageInputs:
    """The record of one stage.

    Attributes:
        work_dir: of the run.
        stage: its name.
        identity: of the output that is made, drawn at random when it is begun.
        stages: name of each stage it reads from -> identity of that output, where it is known.
        photos: as JSON text, the settings of each data set it reads -> name of the photos' list.
        files: see :meth:`Stage.digests_of_files`.
    """

    work_dir: WorkDir
    stage: str
    identity: str = field(default_factory=lambda: secrets.token_hex(8))
    stages: dict[str, str] = field(default_factory=dict)
    photos: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, work_dir: WorkDir, stage: str) -> "StageInputs | None":
        """Return the record of a stage; None if it is missing or damaged."""
        try:
            content = read_json(cls._path(work_dir, stage))
            parts = content["stages"], content["photos"], content.get("files", {})
            texts = [str(content["identity"]), *(text for part in parts for text in part.values())]
            settings = [json.loads(key) for key in content["photos"]]
        except (LussError, KeyError, AttributeError, ValueError):
            return None
        if not all(isinstance(text, str) for text in texts):
            return None
        if not all(isinstance(setting, dict) for setting in settings):
            return None
        return cls(work_dir, stage, texts[0], *parts)

    @classmethod
    def begin(
        cls,
        work_dir: WorkDir,
        stage: str,
        requires: tuple[str, ...],
        goes_on: bool,
        files: Mapping[str, str] | None = None,
    ) -> "StageInputs":
        """Return the record of a stage that resumes, or a new one of a stage that begins.

        Args:
            work_dir: of the run.
            stage: its name.
            requires: the stages it reads from.
            goes_on: whether there is some of its output already.
            files: see :meth:`Stage.digests_of_files`.
        """
        inputs = cls.read(work_dir, stage) if goes_on else None
        if inputs is None:
            sources = {name: cls.read(work_dir, name) for name in requires}
            known = {name: source.identity for name, source in sources.items() if source}
            inputs = cls(work_dir, stage, stages=known, files=dict(files or {}))
            inputs.write()
        return inputs

    def write(self) -> None:
        """Write the record atomically; only the main process does."""
        if not is_main_process():
            return
        content = {"identity": self.identity, "stages": self.stages, "photos": self.photos}
        files = {"files": self.files} if self.files else {}
        write_json(self._path(self.work_dir, self.stage), content | files)

    def outdated_by(self, to_be_made: Collection[str]) -> str | None:
        """Return a stage that was or will be recomputed after this one read its output; or None.

        Args:
            to_be_made: stages without any output that are about to run.
        """
        for name, identity in self.stages.items():
            source = self.read(self.work_dir, name)
            if name in to_be_made or (source is not None and source.identity != identity):
                return name
        return None

    def add_photos(self, config: dict, name: str) -> None:
        """Note the list of a data set's photos, once.

        Args:
            config: of the data set.
            name: of the list in the work dir.
        """
        key = _key(config)
        if key not in self.photos:
            self.photos[key] = name
            self.write()

    def difference(self, photo_list: Callable[[dict], Path], root: str) -> str | None:
        """How the photos that are there differ from those that the stage saw; None if nowhere.

        Args:
            photo_list: from the settings of a data set to its present list.
            root: where the photos lie, for the sentence.

        Returns:
            A sentence behind 'the photos', such as " of 'train' in DIR are not those that ...".
        """
        for key, name in self.photos.items():
            settings = json.loads(key)
            found = describe_difference(self.work_dir.photos / name, photo_list(settings))
            if found:
                split = f" of {settings['split']!r}" if "split" in settings else ""
                return f"{split} in {root} are not those that stage {self.stage!r} saw: {found}."
        return None

    @staticmethod
    def _path(work_dir: WorkDir, stage: str) -> Path:
        return work_dir.stage(stage) / "inputs.json"


def _key(config: dict) -> str:
    if config["type"] == "Reproducible":
        # Settings as the config has them: where photos lie may change, within the wrapper too.
        outer = {key: value for key, value in config.items() if key != "dataset"}
        config = {**outer, **config["dataset"]}
    listed = listing_settings(config)
    # The folders may move.
    listed = {key: listed[key] for key in listed.keys() - {"data_root", "mask_root"}}
    return json.dumps(listed, sort_keys=True, default=str)
