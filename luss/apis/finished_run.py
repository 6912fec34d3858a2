"""What a finished run is, for everything that uses its model afterwards."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from mmengine import Config
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from numpy.typing import NDArray

from luss.build_errors import clear_build_errors
from luss.configuration import read_config
from luss.engine.checkpoint import load, required_checkpoint, stored_weights
from luss.engine.inference import load_model
from luss.errors import LussError
from luss.evaluation.category_names import (
    NAMES_FILE,
    CategoryNames,
    digest_of_clustering,
    read_category_names,
)
from luss.evaluation.matching import read_match
from luss.models.segmentors.heads import fill_num_classes
from luss.pipeline import Context
from luss.pipeline.stage import build_stage
from luss.pipeline.work_dir import WorkDir
from luss.registry import STAGES
from luss.stages import ProtocolStage
from luss.visualization.colours import Legend, generated_legend, true_legend

__all__ = ["FinishedRun"]

_CONFIG = "config.py"
_RECORD = "pipeline.json"
_CLASS_WEIGHTS = "decode_head.conv_seg.weight"
"""Where all of mmseg's heads keep a row for each class."""


@dataclass(frozen=True)
class FinishedRun:
    """A trained segmentor, and what its ids mean.

    Attributes:
        config: of the run, as :func:`luss.configuration.read_config` gives it.
        stage: name of the stage that evaluates the segmentor.
        checkpoint: the segmentor's weights.
        model: the segmentor's whole configuration, with its number of classes.
        pipeline: how photos are prepared for evaluation; configs of transforms, from
            ``LoadRGBImage`` to ``PackInputs``.
        predicts_true_classes: whether it learnt true classes, as a semi-supervised one; if not,
            it predicts ids of generated categories.
        num_categories: C, the ids that it predicts beside 0, 'other'.
        match: (C + 1,) int64, true id of each generated id, 0 for those left over; None where no
            match was found, or nothing is to be matched.
        class_names: of the true classes 1, 2, ...; None where there are none, or where they are
            not known any more.
        work_dir: folder of the run; None for a checkpoint that lies in none.
    """

    config: Config
    stage: str
    checkpoint: Path
    model: dict
    pipeline: list[dict]
    predicts_true_classes: bool
    num_categories: int
    match: NDArray[np.int64] | None
    class_names: tuple[str, ...] | None
    work_dir: Path | None

    @classmethod
    def read(
        cls, path: str | os.PathLike, config: str | os.PathLike | None = None
    ) -> "FinishedRun":
        """Read a run from its work dir or from a checkpoint; nothing is written.

        A work dir may have been moved, and its photos need not be there any more. A checkpoint of
        a stage's folder belongs to that work dir, and need not be the last one. Ids of all
        checkpoints of a stage mean the same.

        Args:
            path: a work dir whose segmentor is trained and evaluated, or a checkpoint.
            config: of the run; for a checkpoint that lies in no work dir.

        Raises:
            LussError: if there is no such run, it is not finished, or it trains no segmentor.
        """
        init_default_scope("luss")
        path = Path(path).expanduser()
        if path.is_dir():
            return cls._of_work_dir(path, None, config)
        if not path.is_file():
            raise LussError(
                f"there is no work dir and no checkpoint {path}; give the folder of a finished "
                "run, or a checkpoint iter_<N>.pth"
            )
        root = path.absolute().parent.parent
        if config is None and _is_work_dir(root):
            return cls._of_work_dir(root, path, None)
        if config is None:
            raise LussError(
                f"the checkpoint {path} lies in no work dir, so that nothing says which model it "
                "belongs to; give its config, too (--config)"
            )
        return cls._build(read_config(str(config)), path, None)

    @classmethod
    def _of_work_dir(
        cls, root: Path, checkpoint: Path | None, config: str | os.PathLike | None
    ) -> "FinishedRun":
        if config is not None:
            raise LussError(
                f"{root} is a work dir, which has its own config; give --config with a checkpoint "
                "alone"
            )
        if not _is_work_dir(root):
            raise LussError(
                f"{root} is no work dir of a run: it has no {_CONFIG} and {_RECORD}; give the "
                "folder that training wrote (work_dirs/PHOTOS after luss train PHOTOS), or a "
                "checkpoint"
            )
        return cls._build(WorkDir(root).config(), checkpoint, WorkDir(root))

    @classmethod
    def _build(
        cls, config: Config, checkpoint: Path | None, work_dir: WorkDir | None
    ) -> "FinishedRun":
        context = Context(config, work_dir or WorkDir(Path.cwd()))
        trained_in = checkpoint.absolute().parent.name if checkpoint and work_dir else None
        stage, model = _segmentor(context, trained_in)
        if checkpoint is None:
            checkpoint = _last_checkpoint(stage, context)
        outputs = _num_outputs(checkpoint)
        return cls(
            config=config,
            stage=stage.name,
            checkpoint=checkpoint,
            model=fill_num_classes(model, outputs, f"the model of {checkpoint}"),
            pipeline=[dict(step) for step in stage.pipeline if step["type"] != "LoadMask"],
            predicts_true_classes=not stage.predicts_generated_ids,
            num_categories=outputs - 1,
            match=_match(stage, context, outputs - 1) if work_dir else None,
            class_names=_class_names(stage, context) if work_dir else None,
            work_dir=work_dir.root if work_dir else None,
        )

    @property
    def names_file(self) -> Path | None:
        """Where names that people gave to categories are, or would be; None without a work dir."""
        return self.work_dir / NAMES_FILE if self.work_dir else None

    @property
    def clustering_file(self) -> Path | None:
        """The clustering that the categories come from; None where no finished stage has one."""
        if self.work_dir is None:
            return None
        return WorkDir(self.work_dir).outputs().get("clustering")

    def category_names(self) -> CategoryNames | None:
        """What people made of the generated categories; None where there is no ``names.json``.

        Raises:
            LussError: if the file is damaged, or does not fit the run.
        """
        if self.predicts_true_classes or self.names_file is None or not self.names_file.exists():
            return None
        clustering = self.clustering_file and digest_of_clustering(self.clustering_file)
        return read_category_names(self.names_file, self.num_categories, clustering)

    @cached_property
    def true_legend(self) -> Legend:
        """Colours and names of the true classes, as in the report."""
        if self.class_names is not None:
            return true_legend({"classes": ("other", *self.class_names)})
        largest = self.num_categories if self.match is None else int(self.match.max())
        names = (f"class {index}" for index in range(1, largest + 1))
        return true_legend({"classes": ("other", *names)})

    @cached_property
    def legend(self) -> Legend:
        """Colours and names of the ids that the model predicts, as in the report."""
        if self.predicts_true_classes:
            return self.true_legend
        return generated_legend(self.num_categories, self.match, self.true_legend)

    def load_model(self, device: str | torch.device = "cpu") -> BaseModel:
        """The segmentor on a device, with its weights, set to evaluation.

        Raises:
            LussError: if the checkpoint is damaged or belongs to another model.
        """
        with clear_build_errors(f"stages.{self.stage}"):
            return load_model(self.model, self.checkpoint, torch.device(device))


def _is_work_dir(root: Path) -> bool:
    return (root / _CONFIG).is_file() and (root / _RECORD).is_file()


def _segmentor(context: Context, trained_in: str | None) -> tuple[ProtocolStage, dict]:
    """The first stage that evaluates a segmentor, and the segmentor's stated configuration.

    Args:
        context: of the run.
        trained_in: name of the stage that must have trained it; None for any.
    """
    found = [
        (stage, model)
        for stage, model in _segmentors(context)
        if trained_in in (None, stage.model_from)
    ]
    if found:
        return found[0]
    every = ", ".join(str(stage.model_from) for stage, _ in _segmentors(context))
    if trained_in and every:
        raise LussError(
            f"the stage {trained_in!r} of {context.work_dir.root} trains no segmentor that is "
            f"evaluated; give the work dir, or a checkpoint of: {every}"
        )
    raise LussError(
        f"no stage of this run evaluates a segmentor; its stages are: "
        f"{', '.join(context.config['stages'])}. Fully unsupervised and semi-supervised runs have "
        "one, see configs/pass/ and configs/semi_supervised/"
    )


def _segmentors(context: Context) -> Iterator[tuple[ProtocolStage, dict]]:
    """Stages that evaluate a segmentor, with its stated configuration, in the config's order."""
    stages = context.config["stages"]
    for name, settings in stages.items():
        with clear_build_errors(f"stages.{name}"):
            kind = STAGES.get(settings["type"])
            if not (isinstance(kind, type) and issubclass(kind, ProtocolStage)):
                continue
            stage = build_stage(name, settings)
        if stage.model is None and stage.model_from not in stages:
            continue
        model = stage.stated_model(context)
        if "decode_head" in model:
            yield stage, model


def _last_checkpoint(stage: ProtocolStage, context: Context) -> Path:
    """The checkpoint that a stage evaluates, in a work dir where all that needs is whole."""
    work_dir = context.work_dir
    unfinished = [name for name in (*stage.requires, stage.name) if not work_dir.is_done(name)]
    if unfinished:
        root = work_dir.root
        raise LussError(
            f"the run in {root} is not finished: {', '.join(map(repr, unfinished))} "
            f"{'is' if len(unfinished) == 1 else 'are'} not whole. If it still runs, wait for it; "
            f"if it was stopped, go on with: luss run {root / _CONFIG} --work-dir {root} --resume"
        )
    if stage.checkpoint is not None or stage.model_from is None:
        path = stage.checkpoint_path(context)
        if path is None:
            raise LussError(f"stages.{stage.name} evaluates a model without a checkpoint")
        return path
    return required_checkpoint(work_dir.stage(stage.model_from))


def _num_outputs(checkpoint: Path) -> int:
    """Classes that a segmentor's checkpoint tells apart, 'other' included."""
    weights = stored_weights(load(checkpoint))
    if _CLASS_WEIGHTS not in weights:
        raise LussError(
            f"{checkpoint} holds no segmentor: there is no {_CLASS_WEIGHTS} in it; give a "
            "checkpoint of the stage that trains one, such as finetune"
        )
    return len(weights[_CLASS_WEIGHTS])


def _match(stage: ProtocolStage, context: Context, num_categories: int) -> np.ndarray | None:
    """The match that the run was evaluated by, one entry for each generated id."""
    if not stage.predicts_generated_ids:
        return None
    path = context.work_dir.stage(stage.name) / "match.json"
    if getattr(stage, "match", None) is not None:
        path = Path(stage.match)
    if not path.is_file():
        return None
    match = read_match(path)
    if len(match) > num_categories + 1:
        raise LussError(
            f"{path} matches {len(match) - 1} generated categories, but the model has "
            f"{num_categories}; it belongs to another run"
        )
    return np.pad(match, (0, num_categories + 1 - len(match)))


def _class_names(stage: ProtocolStage, context: Context) -> tuple[str, ...] | None:
    """Names of the true classes: as the run noted them, or else as its photos still say."""
    if context.work_dir.is_done(stage.name):
        noted = context.work_dir.facts(stage.name).get("classes")
        if noted is not None:
            return tuple(map(str, noted))
    # Demo data would be drawn anew.
    if context.config.get("data", {}).get("type") == "demo":
        return None
    try:
        return context.description.classes
    except LussError as error:
        print_log(f"the names of the true classes are not known: {error}", "current")
        return None
