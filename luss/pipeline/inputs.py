"""What a stage was made from: the outputs of other stages, and the photos.

Kept as ``inputs.json`` in the stage's folder from its beginning, so that photos that come, go or
change their names, and stages that were made again, are noticed.
"""

import gzip
import hashlib
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.dataset import BaseDataset

from luss.errors import LussError
from luss.files import atomic_write, read_json, write_json
from luss.pipeline.work_dir import WorkDir

__all__ = ["StageInputs", "describe_difference", "list_photos"]

_NO_MATTER = frozenset(
    {
        "data_root",
        "mask_root",
        "metainfo",
        "num_mask_classes",
        "on_unreadable",
        "pipeline",
        "require_masks",
        "seed",
    }
)
"""Settings of a data set that do not change which photos it lists."""

_SHOWN = 3


@dataclass
class StageInputs:
    """The record of one stage.

    Attributes:
        work_dir: of the run.
        stage: its name.
        identity: of the output that is made, drawn at random when it is begun.
        stages: name of each stage it reads from -> identity of that output, where it is known.
        photos: as JSON text, the settings of each data set it lists -> digest of the photos' ids.
    """

    work_dir: WorkDir
    stage: str
    identity: str = field(default_factory=lambda: secrets.token_hex(8))
    stages: dict[str, str] = field(default_factory=dict)
    photos: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, work_dir: WorkDir, stage: str) -> "StageInputs | None":
        """The record of a stage; None if it has none, or a damaged one."""
        try:
            content = read_json(cls._path(work_dir, stage))
            parts = str(content["identity"]), dict(content["stages"]), dict(content["photos"])
            return cls(work_dir, stage, *parts)
        except (LussError, KeyError, TypeError, ValueError):
            return None

    @classmethod
    def begin(
        cls, work_dir: WorkDir, stage: str, requires: tuple[str, ...], goes_on: bool
    ) -> "StageInputs":
        """The record of a stage that goes on, or a new one of a stage that begins.

        Args:
            work_dir: of the run.
            stage: its name.
            requires: the stages it reads from.
            goes_on: whether there is some of its output already.
        """
        inputs = cls.read(work_dir, stage) if goes_on else None
        if inputs is None:
            sources = {name: cls.read(work_dir, name) for name in requires}
            known = {name: source.identity for name, source in sources.items() if source}
            inputs = cls(work_dir, stage, stages=known)
            inputs.write()
        return inputs

    def write(self) -> None:
        """Write the record, whole or not at all."""
        content = {"identity": self.identity, "stages": self.stages, "photos": self.photos}
        write_json(self._path(self.work_dir, self.stage), content)

    def outdated_by(self, to_be_made: Collection[str]) -> str | None:
        """The stage that was made again, or will be, since this one read its output; or None.

        Args:
            to_be_made: stages without any output that are about to run.
        """
        for name, identity in self.stages.items():
            source = self.read(self.work_dir, name)
            if name in to_be_made or (source is not None and source.identity != identity):
                return name
        return None

    def add_photos(self, config: dict, dataset: BaseDataset) -> None:
        """Note what a data set lists, once, and keep the list for comparison.

        Args:
            config: of the data set.
            dataset: built from it; nothing is noted if its photos have neither id nor path.
        """
        key = _key(config)
        if key in self.photos or (photos := list_photos(dataset)) is None:
            return
        text = "\n".join(photos).encode()
        digest = hashlib.sha256(text).hexdigest()
        path = _list_path(self.work_dir, digest)
        if not path.exists():
            with atomic_write(path) as file:
                file.write(gzip.compress(text, compresslevel=6, mtime=0))
        self.photos[key] = digest
        self.write()

    @staticmethod
    def _path(work_dir: WorkDir, stage: str) -> Path:
        return work_dir.stage(stage) / "inputs.json"


def list_photos(dataset: BaseDataset) -> list[str] | None:
    """The ids (or paths) of a data set's photos in order; None if it has neither."""
    photos = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        photo = info.get("image_id", info.get("img_path"))
        if photo is None:
            return None
        photos.append(str(photo))
    return photos


def describe_difference(work_dir: WorkDir, digest: str, photos: list[str]) -> str | None:
    """What has become of the photos since a stage listed them.

    Args:
        work_dir: with the list of then.
        digest: of the ids of then.
        photos: the ids of now.

    Returns:
        A phrase with counts and examples; None if nothing changed.
    """
    if hashlib.sha256("\n".join(photos).encode()).hexdigest() == digest:
        return None
    try:
        before = gzip.decompress(_list_path(work_dir, digest).read_bytes()).decode().split("\n")
    except (OSError, EOFError, ValueError):
        return f"their list differs, there are {len(photos)} now"
    gone, new = sorted(set(before) - set(photos)), sorted(set(photos) - set(before))
    if not gone and not new:
        return f"there are the same {len(before)}, in another order"
    return f"of {len(before)} then, {_counted(gone, 'gone now')}, and {_counted(new, 'new')}"


def _counted(names: list[str], what: str) -> str:
    if not names:
        return f"none are {what}"
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"{len(names)} {'is' if len(names) == 1 else 'are'} {what} ({shown})"


def _key(config: dict) -> str:
    listed = {key: value for key, value in config.items() if key not in _NO_MATTER}
    return json.dumps(listed, sort_keys=True, default=str)


def _list_path(work_dir: WorkDir, digest: str) -> Path:
    return work_dir.root / "photos" / f"{digest[:16]}.txt.gz"
