"""What stages share: configuration, data sets and the work dir."""

import contextlib
import copy
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from mmengine import Config
from mmengine.dataset import BaseDataset, Compose
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log

from luss.datasets import (
    DataDescription,
    ReproducibleDataset,
    describe,
    draw_demo_data,
    kind_of_data,
    reproducible_dataset,
    split_config,
)
from luss.datasets.dataset_class import dataset_class
from luss.datasets.photo_lists import ListedPhotos, listing_settings
from luss.engine.checkpoint import latest_checkpoint, required_checkpoint
from luss.errors import LussError
from luss.pipeline.inputs import StageInputs
from luss.pipeline.work_dir import WorkDir
from luss.ranks import fail_together, main_process_decides
from luss.registry import DATASETS

__all__ = ["Context", "move_data"]

_SHARED = (
    "auto_scale_lr",
    "custom_imports",
    "default_hooks",
    "env_cfg",
    "log_level",
    "log_processor",
    "visualizer",
)
"""Top-level settings that a runner takes as they are."""

_UNLISTED = "<photos>.jsonl.gz"
"""Name of a list of photos that are not listed, since nothing will run."""


def move_data(config: Config, data_root: str | os.PathLike) -> None:
    """Let the config of a finished run read its photos from where they are now.

    Args:
        config: of the run, changed in place. Demo data, which are drawn where there are none, are
            read as what they are.
        data_root: the folder that was given as ``--data-root``.

    Raises:
        LussError: if there is no such folder.
    """
    root = Path(data_root).expanduser()
    if not root.is_dir():
        raise LussError(
            f"--data-root {data_root} is not a folder; give the folder in which the photos of the "
            "run are now"
        )
    config.data_root = str(root)
    if config.get("data", {}).get("type") == "demo":
        config.data = {"type": "ImageNetS"}


@dataclass
class Context:
    """A run of a pipeline.

    Attributes:
        config: the complete configuration, options merged.
        work_dir: the run's folder.
        launcher: how processes were started, as MMEngine has it.
        resume: whether stages continue where they were killed.
        config_hash: equal for runs with equal results.
        splits_checked: splits of which all masks were found to be sound.
        photos_checked: whether photos to train on were looked at.
        tries_batches: whether the checks of stages that train compute losses and gradients, too.
        planned: whether nothing will run, so that missing checkpoints are allowed.
        listed: the photos that this process has listed, also for other contexts.
        given_facts: values of facts that are known without looking at the photos.
        stages: the built stages by name, see :func:`luss.pipeline.resolving.stages_of`.
    """

    config: Config
    work_dir: WorkDir
    launcher: str = "none"
    resume: bool = False
    config_hash: str = ""
    _inputs: StageInputs | None = field(default=None, init=False)
    splits_checked: set[str] = field(default_factory=set, init=False)
    photos_checked: bool = field(default=False, init=False)
    tries_batches: bool = False
    planned: bool = False
    listed: ListedPhotos = field(default_factory=ListedPhotos)
    given_facts: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, Any] = field(default_factory=dict, init=False)
    _data: dict | None = field(default=None, init=False)
    _lists: dict[str, Path] = field(default_factory=dict, init=False)
    _built: dict[str, BaseDataset] = field(default_factory=dict, init=False)

    @property
    def seed(self) -> int:
        """Seed of everything random."""
        return self.config.get("seed", 0)

    @property
    def device(self) -> torch.device:
        """Device of this process."""
        return torch.device(get_device())

    @property
    def num_workers(self) -> int:
        """Data-loading processes per process."""
        return self.config.get("num_workers", 2)

    @property
    def data(self) -> dict:
        """Settings that all data sets share, ``data_root`` included.

        They are derived when a data set is built, after options are merged, so that one option
        ``data_root=DIR`` moves a whole pipeline. ``data.type`` ``auto`` looks at the folders of
        the root, see ``kind_of_data``; ``demo`` means the built-in data, drawn into the work dir
        on first use.

        Raises:
            LussError: if there is no data root, or it may be of several kinds.
        """
        if self._data is None:
            data = {"type": "auto", **self.config.get("data", {})}
            root = self.config.get("data_root")
            data["data_root"] = None if root is None else str(Path(root).expanduser())
            if data["type"] == "demo":
                data = self._draw_demo_data(data)
            root = data["data_root"]
            if root is None:
                raise LussError(
                    "no data_root is set; add --cfg-options data_root=DIR with the folder of the "
                    "photos"
                )
            root = Path(root)
            if not root.is_dir():
                raise LussError(f"data_root {root} is not a folder")
            if data["type"] == "auto":
                with fail_together():
                    data["type"] = kind_of_data(root) if is_main_process() else None
                data["type"] = main_process_decides(data["type"])
                print_log(f"{root} is read as {data['type']}", "current")
            self._data = data
        return self._data

    def _draw_demo_data(self, settings: dict) -> dict:
        settings = {key: value for key, value in settings.items() if key != "type"}
        root = settings.pop("data_root") or self.work_dir.root / "data"
        if is_main_process():
            draw_demo_data(root, **settings)
        barrier()
        return {"type": "ImageNetS", "data_root": str(root)}

    @cached_property
    def description(self) -> DataDescription:
        """Description of the data set: its splits, masks and classes."""
        return describe(self.data)

    def checkpoint_of(self, stage: str) -> Path:
        """Return the last checkpoint of a stage.

        Raises:
            LussError: as :func:`luss.engine.checkpoint.required_checkpoint`; not if it is
                ``planned``, when the path of one to come is that of ``iter_<N>.pth``.
        """
        folder = self.work_dir.stage(stage)
        if self.planned and latest_checkpoint(folder) is None:
            return folder / "iter_<N>.pth"
        return required_checkpoint(folder)

    facts: ClassVar[tuple[str, ...]] = (
        "data_root",
        "evaluated_splits",
        "num_categories",
        "num_classes",
        "num_outputs",
        "num_true_outputs",
        "seed",
        "splits",
        "splits_with_masks",
        "weights",
    )
    """Names of the facts that settings may refer to as ``${facts.name}``."""

    @property
    def num_outputs(self) -> int:
        """Number of ids that a segmentor of discovered categories predicts, with 'other'."""
        return self.num_categories + 1

    @property
    def num_true_outputs(self) -> int:
        """Number of ids that a segmentor of true classes predicts, with 'other'."""
        return self.num_classes + 1

    @property
    def splits(self) -> list[str]:
        """The training photos, and those that are evaluated."""
        return ["train", *self.description.evaluated]

    @property
    def evaluated_splits(self) -> list[str]:
        """Splits that are predicted, those with masks first; the training photos without any."""
        return list(self.description.evaluated) or ["train"]

    @property
    def weights(self) -> str | dict | None:
        """External weights that the config names at the top level."""
        return self.config.get("weights")

    @property
    def data_root(self) -> str:
        """Folder of the photos."""
        return self.data["data_root"]

    def runner_defaults(self, stage: str) -> dict:
        """Return the settings that the runners of all stages share, for one stage."""
        shared = {key: copy.deepcopy(self.config[key]) for key in _SHARED if key in self.config}
        folder = self.work_dir.stage(stage)
        return {
            **shared,
            "runner_type": "luss.Runner",
            "default_scope": "luss",
            "work_dir": str(folder),
            # Two runners of one name in a process would share pictures and scalars.
            "experiment_name": str(folder.resolve()),
            "run_log": str(self.work_dir.root / "run.log"),
            "launcher": self.launcher,
            "randomness": {"seed": self.seed},
        }

    def dataset_config(self, config: dict) -> dict:
        """Return the complete configuration of a data set; :attr:`data` gives what is missing.

        A ``Reproducible`` one stays as it is. Data sets of other libraries are made reproducible,
        and list their photos themselves; all others read the run's list (``photo_list``).

        Raises:
            LussError: if the type is unknown, or it has no such split.
        """
        config = self._complete(config)
        if not issubclass(dataset_class(config["type"]), ReproducibleDataset):
            return config
        path = self.work_dir.photos / _UNLISTED if self.planned else self.photo_list(config)
        return {**config, "photo_list": str(path)}

    def photo_list(self, config: dict) -> Path:
        """Return the file that lists the photos of a data set, written at its first use.

        The main process lists them; all processes call this together.

        Args:
            config: of the data set, as far as the stage states it.
        """
        config = self._complete(config)
        key = json.dumps(listing_settings(config), sort_keys=True, default=str)
        if key not in self._lists:
            path = None
            with fail_together():
                if is_main_process():
                    path = self.listed.write(config, self.work_dir.photos)
            self._lists[key] = main_process_decides(path)
        return self._lists[key]

    def _complete(self, config: dict) -> dict:
        if config.get("type") == "Reproducible":
            return dict(config)
        # Photos that the data or the stage leave out; label generation may have noted none.
        without = [*(self.data.get("without") or ()), *(config.get("without") or ())]
        config = {"seed": self.seed, **self.data, **config}
        config.pop("without", None)
        if without:
            config["without"] = list(dict.fromkeys(without))
        return reproducible_dataset(split_config(config, config.get("split", "train")))

    def dataset(self, config: dict):
        """Build a data set; what ``config`` leaves open comes from :attr:`data`.

        Stages look at the same images through many pipelines: their items are read once.
        """
        self.note_photos(config)
        config = self.dataset_config(config)
        pipeline = config.pop("pipeline", [])
        if self.planned:
            config.pop("photo_list", None)
        key = json.dumps(config, sort_keys=True, default=str)
        if key not in self._built:
            self._built[key] = DATASETS.build({**config, "pipeline": []})
        dataset = copy.copy(self._built[key])
        dataset.pipeline = Compose(pipeline)
        return dataset

    def note_photos(self, config: dict) -> None:
        """Note the photos of a data set in the record of the running stage."""
        if self._inputs is not None:
            self._inputs.add_photos(self._complete(config), self.photo_list(config).name)

    @contextlib.contextmanager
    def noting_inputs(
        self,
        stage: str,
        requires: tuple[str, ...],
        goes_on: bool,
        files: Mapping[str, str],
    ) -> Iterator[None]:
        """Keep a record of what a stage reads while it runs; see :meth:`StageInputs.begin`."""
        self._inputs = StageInputs.begin(self.work_dir, stage, requires, goes_on, files)
        try:
            yield
            # The stage may have put another folder in the place of its own.
            self._inputs.write()
        finally:
            self._inputs = None

    @property
    def splits_with_masks(self) -> list[str]:
        """Evaluation splits that have true masks, validation first."""
        return list(self.description.measured)

    @property
    def num_categories(self) -> int:
        """Number C of categories to discover: given, or that of the true classes.

        Raises:
            LussError: if it is neither given nor can be read.
        """
        given = self.config.get("num_categories")
        if given is not None:
            return given
        if self.description.num_classes is None:
            raise LussError(
                f"a data set of the type {self.data['type']} does not define how many categories "
                "to discover; add --cfg-options num_categories=C"
            )
        return self.description.num_classes

    @property
    def num_classes(self) -> int:
        """Number of classes of the true masks, without 'other'.

        Raises:
            LussError: if there are none.
        """
        if self.description.num_classes is None:
            raise LussError(
                f"a data set of the type {self.data['type']} has no true classes to learn or to "
                "compare with"
            )
        return self.description.num_classes
