"""A finished run: its segmentor, and the meaning of its ids."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

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
from luss.pipeline import Context
from luss.pipeline.resolving import resolved_config, stages_of
from luss.pipeline.work_dir import WorkDir
from luss.stages import Test
from luss.visualization.colours import Legend, generated_legend, true_legend

__all__ = ["FinishedRun"]

_CONFIG = "config.py"
_RECORD = "pipeline.json"
_CLASS_WEIGHTS = "decode_head.conv_seg.weight"
"""Weights of mmseg's heads with a row for each class."""


@dataclass(frozen=True)
class FinishedRun:
    """A trained segmentor, and the meaning of its ids.

    Attributes:
        config: of the run, see :func:`luss.configuration.read_config`.
        stage: name of the stage that evaluates the segmentor.
        checkpoint: the segmentor's weights.
        model: the segmentor's complete configuration, with its number of classes.
        pipeline: test pipeline; configs of transforms, from ``LoadRGBImage`` to ``PackInputs``.
        predicts_true_classes: whether it was trained on true classes (semi-supervised); otherwise
            it predicts ids of generated categories.
        num_categories: C, number of predicted ids without 0, 'other'.
        match: (C + 1,) int64, true id of each generated id, 0 if unmatched; None without a match.
        class_names: of the true classes 1, 2, ...; None if unknown.
        work_dir: folder of the run; None for a checkpoint outside of a work dir.
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

        The work dir may have been moved, and its photos may be missing. A checkpoint in a stage's
        folder belongs to that work dir, and may be any of the stage's checkpoints; they share the
        meaning of ids.

        Args:
            path: a work dir whose segmentor is trained and evaluated, or a checkpoint.
            config: of the run, for a checkpoint outside of a work dir.

        Raises:
            LussError: if there is no such run, it is not finished, or it has no segmentor.
        """
        init_default_scope("luss")
        path = Path(path).expanduser()
        if path.is_dir():
            return cls._of_work_dir(path, None, config)
        if not path.is_file():
            raise LussError(
                f"there is no work dir or checkpoint {path}; give the folder of a finished run, or "
                "a checkpoint iter_<N>.pth"
            )
        root = path.absolute().parent.parent
        if config is None and _is_work_dir(root):
            return cls._of_work_dir(root, path, None)
        if config is None:
            raise LussError(
                f"{path} is not in a work dir, as WORK_DIR/finetune/iter_<N>.pth is, so its model "
                "is unknown; give a work dir, or add --config WORK_DIR/config.py"
            )
        return cls._build(read_config(str(config)), path, None)

    @classmethod
    def _of_work_dir(
        cls, root: Path, checkpoint: Path | None, config: str | os.PathLike | None
    ) -> "FinishedRun":
        if config is not None:
            raise LussError(
                f"{root} is a work dir with its own config; remove --config, which is only for "
                "checkpoints"
            )
        if not _is_work_dir(root):
            raise LussError(
                f"{root} is not a work dir: it has no {_CONFIG} and {_RECORD}; give the work dir "
                "of a training (work_dirs/PHOTOS after luss train PHOTOS), or a checkpoint"
            )
        return cls._build(WorkDir(root).config(), checkpoint, WorkDir(root))

    @classmethod
    def _build(
        cls, config: Config, checkpoint: Path | None, work_dir: WorkDir | None
    ) -> "FinishedRun":
        context = Context(config, work_dir or WorkDir(Path.cwd()))
        trained_in = checkpoint.absolute().parent.name if checkpoint and work_dir else None
        stage = _segmentor(context, trained_in)
        if checkpoint is None:
            checkpoint = _last_checkpoint(stage, context)
        outputs = _num_outputs(checkpoint)
        # The photos, which state these facts, may be missing.
        context.given_facts = dict.fromkeys(("num_outputs", "num_true_outputs"), outputs)
        context.given_facts["num_categories"] = outputs - 1
        where = f"stages.{stage.name}"
        protocol = stage.protocol
        assert protocol is not None, "segmentors are evaluated by a protocol"
        pipeline = resolved_config(stage.test_dataloader["dataset"]["pipeline"], context, where)
        refiner = {} if stage.refiner is None else {"refiner": stage.refiner}
        return cls(
            config=config,
            stage=stage.name,
            checkpoint=checkpoint,
            model={**resolved_config(stage.config["model"], context, where), **refiner},
            pipeline=[dict(step) for step in pipeline if step["type"] != "LoadMask"],
            predicts_true_classes=not protocol.predicts_generated_ids,
            num_categories=outputs - 1,
            match=_match(stage, context, outputs - 1) if work_dir else None,
            class_names=_class_names(stage, context) if work_dir else None,
            work_dir=work_dir.root if work_dir else None,
        )

    def without_refiner(self) -> Self:
        """Return the run with a segmentor whose predictions are not refined."""
        model = {key: value for key, value in self.model.items() if key != "refiner"}
        pipeline = [step for step in self.pipeline if step["type"] != "KeepPhoto"]
        return replace(self, model=model, pipeline=pipeline)

    @property
    def names_file(self) -> Path | None:
        """Path of ``names.json`` with the users' names of categories; None without a work dir."""
        return self.work_dir / NAMES_FILE if self.work_dir else None

    @property
    def clustering_file(self) -> Path | None:
        """Path of the clustering of the categories; None if no finished stage has one."""
        if self.work_dir is None:
            return None
        return WorkDir(self.work_dir).outputs().get("clustering")

    def category_names(self) -> CategoryNames | None:
        """Return the users' names of the generated categories; None without ``names.json``.

        Raises:
            LussError: if the file is damaged, or does not fit the run.
        """
        if self.predicts_true_classes or self.names_file is None or not self.names_file.exists():
            return None
        file = self.clustering_file
        clustering = None if file is None else digest_of_clustering(file)
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
        """Return the segmentor on a device, with its weights, in evaluation mode.

        Raises:
            LussError: if the checkpoint is damaged or belongs to another model.
        """
        with clear_build_errors(f"stages.{self.stage}"):
            return load_model(self.model, self.checkpoint, torch.device(device))


def _is_work_dir(root: Path) -> bool:
    return (root / _CONFIG).is_file() and (root / _RECORD).is_file()


def _segmentor(context: Context, trained_in: str | None) -> Test:
    """Return the first stage that evaluates a segmentor.

    Args:
        context: of the run.
        trained_in: name of the stage that trained it; None for any.
    """
    segmentors = list(_segmentors(context))
    found = [stage for stage in segmentors if trained_in in (None, stage.source_of("checkpoint"))]
    if found:
        return found[0]
    every = ", ".join(str(stage.source_of("checkpoint")) for stage in segmentors)
    if trained_in and every:
        raise LussError(
            f"a checkpoint of the stage {trained_in!r} cannot be used to predict, because no stage "
            f"evaluates its model; give {context.work_dir.root}, or a checkpoint of: {every}"
        )
    raise LussError(
        f"no stage of this run evaluates a segmentor; its stages are: "
        f"{', '.join(context.config['stages'])}. See configs/pass/ and configs/semi_supervised/ "
        "for runs with such a stage"
    )


def _segmentors(context: Context) -> Iterator[Test]:
    """Yield the stages that evaluate a segmentor, in order."""
    for stage in stages_of(context).values():
        if isinstance(stage, Test) and stage.protocol is not None:
            source = stage.source_of("model")
            model = stages_of(context)[source].config["model"] if source else stage.config["model"]
            if "decode_head" in model:
                yield stage


def _last_checkpoint(stage: Test, context: Context) -> Path:
    """Return the checkpoint that a stage evaluates; check that its stages are complete."""
    work_dir, source = context.work_dir, stage.source_of("checkpoint")
    needed = [name for name in (source, stage.name) if name is not None]
    unfinished = [name for name in needed if not work_dir.is_done(name)]
    if unfinished:
        root = work_dir.root
        raise LussError(
            f"the run in {root} is not finished: {', '.join(map(repr, unfinished))} "
            f"{'is' if len(unfinished) == 1 else 'are'} not complete. If it is still running, wait "
            f"for it; if it was stopped, run luss run {root / _CONFIG} --work-dir {root} --resume"
        )
    if source is not None:
        return required_checkpoint(work_dir.stage(source))
    if stage.checkpoint is None:
        raise LussError(
            f"stages.{stage.name} evaluates a model without a checkpoint; give a checkpoint"
        )
    return Path(stage.checkpoint)


def _num_outputs(checkpoint: Path) -> int:
    """Return the number of classes of a segmentor's checkpoint, with 'other'."""
    weights = stored_weights(load(checkpoint))
    if _CLASS_WEIGHTS not in weights:
        raise LussError(
            f"{checkpoint} is not a segmentor, since it has no {_CLASS_WEIGHTS}; give a checkpoint "
            "of the stage that trains one, such as finetune"
        )
    return len(weights[_CLASS_WEIGHTS])


def _match(stage: Test, context: Context, num_categories: int) -> np.ndarray | None:
    """Return the match that the run was evaluated with, one entry for each generated id."""
    if stage.protocol is None or not stage.protocol.predicts_generated_ids:
        return None
    path = context.work_dir.stage(stage.name) / "match.json"
    if (given := stage.protocol.match) is not None:
        path = Path(given)
    if not path.is_file():
        return None
    match = read_match(path)
    if len(match) > num_categories + 1:
        raise LussError(
            f"{path} matches {len(match) - 1} generated categories, but the model has "
            f"{num_categories}; it belongs to another run, so restore the run's own file"
        )
    return np.pad(match, (0, num_categories + 1 - len(match)))


def _class_names(stage: Test, context: Context) -> tuple[str, ...] | None:
    """Return the names of the true classes, from the run's record or else from its photos."""
    if context.work_dir.is_done(stage.name):
        noted = context.work_dir.facts(stage.name).get("classes")
        if noted is not None:
            return tuple(map(str, noted))
    # Demo data would be drawn again.
    if context.config.get("data", {}).get("type") == "demo":
        return None
    try:
        return context.description.classes
    except LussError as error:
        print_log(f"the names of the true classes are unknown: {error}", "current")
        return None
