"""What the stages of all evaluation protocols have in common."""

import copy
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from mmengine.logging import print_log

from luss.engine.checkpoint import latest_checkpoint, required_checkpoint
from luss.errors import LussError
from luss.evaluation.metrics import IMAGENET_S, named_metrics
from luss.evaluation.results import Results, write_results
from luss.models.segmentors.heads import fill_num_classes
from luss.pipeline.context import Context
from luss.pipeline.protocols.predictions import WHOLE_IMAGE, evaluation_set, evaluation_splits
from luss.pipeline.sound_masks import require_sound_masks
from luss.pipeline.stage import Stage
from luss.pipeline.work_dir import WorkDir

__all__ = ["ProtocolStage"]


class ProtocolStage(Stage):
    """Predicts validation and test, and adds its metrics to ``results.json``.

    Args:
        name: see :class:`Stage`.
        model_from: the stage whose newest checkpoint is evaluated; None if there is none.
        pipeline: of the images, with an optional ``LoadMask``; by default the whole image at
            short side 256.
        boundary: whether to count boundary metrics, too.
        metrics: names of ``COUNT_METRICS``, in the order of ``results.json``.
        batch_size: images that are loaded together; those of one size are predicted together.
        checkpoint: evaluate this file instead.
        report_name: stem of the JSON file with the results, in the work dir.
    """

    protocol: ClassVar[str]
    """Its name on the command line and in ``results.json``."""

    def __init__(
        self,
        name: str,
        model_from: str | None,
        *,
        pipeline: list[dict] | None = None,
        boundary: bool = True,
        metrics: Sequence[str | dict] = IMAGENET_S,
        batch_size: int = 1,
        checkpoint: str | None = None,
        report_name: str = "results",
    ) -> None:
        super().__init__(name, requires=(model_from,) if model_from and not checkpoint else ())
        self.model_from = model_from
        self.pipeline = WHOLE_IMAGE if pipeline is None else pipeline
        self.boundary = boundary
        self.metrics = named_metrics(metrics, f"stages.{name}.metrics")
        self.batch_size = batch_size
        self.checkpoint = checkpoint
        self.report_name = report_name

    @abstractmethod
    def evaluate(self, context: Context) -> Results:
        """Predict, count, write results.

        Returns:
            Split -> metric -> percent.
        """

    def again(self, work_dir: WorkDir, checkpoint: str | None = None) -> "ProtocolStage":
        """The stage that evaluates once more.

        Args:
            work_dir: of a run.
            checkpoint: of another model; its output is named after the file, beside the run's.

        Raises:
            LussError: if there is no such file.
        """
        stage = copy.copy(self)
        if checkpoint is None:
            return stage
        if not Path(checkpoint).is_file():
            raise LussError(f"there is no checkpoint {checkpoint}; give the path of a .pth file")
        newest = latest_checkpoint(work_dir.stage(self.model_from)) if self.model_from else None
        if newest is None or not newest.samefile(checkpoint):
            stage.checkpoint = str(checkpoint)
            stage.requires = ()
            if self.model_from:
                stem = Path(checkpoint).stem
                stage.name = f"{self.name}_{stem}"
                stage.report_name = f"{self.report_name}_{stem}"
        return stage

    def run(self, context: Context) -> dict:
        """Evaluate where there are masks; say so where there are none."""
        checkpoint = self.checkpoint_path(context)
        facts = {"checkpoint": checkpoint.name if checkpoint else None, "splits": []}
        if context.splits_with_masks:
            self.evaluate(context)
            return {**facts, "splits": context.splits_with_masks}
        self.run_without_masks(context)
        print_log(f"{self.protocol}: no split has masks, so there are no metrics", "current")
        return facts

    def run_without_masks(self, context: Context) -> None:
        """What is left to do for photos without any mask; nothing by default."""

    def check(self, context: Context) -> None:
        """Build the evaluation sets and look through their masks.

        Raises:
            LussError: if images or masks are missing, or masks do not fit.
        """
        for split in evaluation_splits(context):
            evaluation_set(context, split, self.pipeline)
        for split in context.splits_with_masks:
            require_sound_masks(context, split)

    def write(self, context: Context, tables: dict[str, Results], facts: dict) -> None:
        """Add tables to the file of results, see :func:`luss.evaluation.results.write_results`."""
        path = context.work_dir.root / f"{self.report_name}.json"
        facts = {"data_root": context.data["data_root"], **facts}
        run = {"seed": context.seed, "config_hash": context.config_hash}
        write_results(path, tables, facts, run)

    def folder(self, context: Context, split: str) -> Path:
        """Where the predictions of a split are."""
        return context.work_dir.stage(self.name) / "predictions" / split

    def checkpoint_path(self, context: Context) -> Path | None:
        """The weights to evaluate; None if none are given and no stage trained any."""
        if self.checkpoint:
            return Path(self.checkpoint)
        if self.model_from is None:
            return None
        return required_checkpoint(context.work_dir.stage(self.model_from))

    def model_config(self, context: Context) -> dict:
        """The configuration of the model that ``model_from`` trained.

        Raises:
            LussError: if the config has no such stage.
        """
        stages = context.config["stages"]
        if self.model_from not in stages:
            raise LussError(
                f"stages.{self.name} evaluates what stage {self.model_from!r} trained, but the "
                f"config's stages are {', '.join(stages)}; set model_from to one of these"
            )
        return copy.deepcopy(stages[self.model_from].get("model", {}))

    def segmentor_config(self, context: Context, num_outputs: int) -> dict:
        """As :meth:`model_config`, with a number of classes ('other' included)."""
        where = f"stages.{self.model_from}.model"
        return fill_num_classes(self.model_config(context), num_outputs, where)
