"""What the stages of all evaluation protocols have in common."""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from mmengine.logging import print_log
from torch import Tensor, nn

from luss.engine.checkpoint import latest_checkpoint
from luss.errors import LussError
from luss.evaluation.metrics import IMAGENET_S, named_metrics
from luss.evaluation.results import (
    Results,
    absent_by_split,
    tables_of_variants,
    write_results,
)
from luss.models.segmentors.heads import fill_num_classes
from luss.pipeline.context import Context
from luss.pipeline.runner_stage import RunnerStage
from luss.pipeline.work_dir import WorkDir
from luss.registry import METRICS, MODELS, STAGES
from luss.stages.patch_sizes import require_whole_patches
from luss.stages.sound_masks import require_sound_masks

__all__ = ["WHOLE_IMAGE", "ProtocolStage", "evaluation_set_config"]

WHOLE_IMAGE: list[dict] = [
    {"type": "LoadRGBImage"},
    {"type": "LoadMask", "optional": True},
    {"type": "ResizeShortSide", "size": 256},
    {"type": "PackInputs"},
]
"""Short side 256, the whole image, the mask at its own size."""


def evaluation_set_config(context: Context, split: str, pipeline: list[dict]) -> dict:
    """Return the data set of a split; in a measured one, no image or mask may be missing."""
    strict: dict[str, Any] = {"on_unreadable": "skip" if split == "train" else "fail"}
    if split in (*context.splits_with_masks, "train-semi"):
        strict["require_masks"] = True
    return context.dataset_config({"split": split, "pipeline": pipeline, **strict})


@STAGES.register_module()
class ProtocolStage(RunnerStage):
    """Tests a model on validation and test, and adds its metrics to ``results.json``.

    A custom protocol is a subclass, or an entry of the config that names it and what it
    measures::

        stages.mine = dict(type="ProtocolStage", protocol="mine", model_from="finetune",
                           test_evaluator=[dict(type="MyMetric")])

    Args:
        name: see :class:`Stage`.
        model_from: the stage whose newest checkpoint is tested; None if there is none.
        protocol: its name on the command line and in ``results.json``; by default the class's.
        model: config of the model to test; by default that of ``model_from``.
        test_evaluator: configs of metrics, only for splits with masks; by default predictions
            are written as masks, and counted. A metric called ``<variant>/<metric>`` stands in
            ``results.json`` under ``<protocol>_<variant>``.
        test_cfg: further settings of ``SplitsTestLoop``.
        custom_hooks: configs of hooks.
        pipeline: of the images, with an optional ``LoadMask``; by default the whole image at
            short side 256.
        refiner: config of a refiner, such as ``dict(type="PAMR")``, that moves the edges of a
            segmentor's predictions to those of the photo, in evaluation and later prediction. The
            pipeline then keeps the photo. None leaves the model as it is.
        boundary: whether to count boundary metrics, too.
        metrics: names of ``COUNT_METRICS``, in the order of ``results.json``.
        batch_size: images that are loaded together; those of one size are predicted together.
        checkpoint: evaluate this file instead.
        report_name: stem of the JSON file with the results, in the work dir.
    """

    settings: ClassVar[tuple[str, ...]] = ("data",)
    roles: ClassVar[Mapping[str, str]] = {"predictions": "predictions"}

    protocol: str = ""

    example_configs: ClassVar[str] = ""
    """Where configs are that have this protocol."""

    without_entry_after: ClassVar[str | None] = None
    """Name of a stage after which the protocol needs no entry in the config; photos are then
    prepared as for the config's other protocols."""

    optional_variants: ClassVar[tuple[str, ...]] = ()
    """Variants whose tables are in ``results.json`` only where there is something to measure."""

    predicts_generated_ids: ClassVar[bool] = False
    """Whether the model predicts discovered categories, which only a match makes true classes."""

    tests_segmentor: ClassVar[bool] = True
    """Whether the model may be a segmentor, whose predictions can be refined."""

    def __init__(
        self,
        name: str,
        model_from: str | None = None,
        *,
        protocol: str | None = None,
        model: dict | None = None,
        test_evaluator: list[dict] | None = None,
        test_cfg: dict | None = None,
        custom_hooks: Sequence[dict] = (),
        pipeline: list[dict] | None = None,
        refiner: dict | None = None,
        boundary: bool = True,
        metrics: Sequence[str | dict] = IMAGENET_S,
        batch_size: int = 1,
        checkpoint: str | None = None,
        report_name: str = "results",
    ) -> None:
        super().__init__(name, requires=(model_from,) if model_from and not checkpoint else ())
        self.protocol = protocol or self.protocol
        if not self.protocol:
            raise LussError(f"stages.{name} has no 'protocol'; name it, as results.json will")
        named_metrics(metrics, f"stages.{name}.metrics")
        self.model_from = model_from
        self.model = model
        self.test_evaluator = test_evaluator
        self.test_cfg = test_cfg or {}
        self.custom_hooks = list(custom_hooks)
        self.pipeline = WHOLE_IMAGE if pipeline is None else pipeline
        self.refiner = refiner
        if refiner is not None:
            if not self.tests_segmentor:
                raise LussError(
                    f"stages.{name}.refiner is set, but {type(self).__name__} does not test a "
                    "segmentor; remove refiner"
                )
            self.pipeline = _keeping_photo(self.pipeline, f"stages.{name}")
        self.boundary = boundary
        self.metrics = metrics
        self.batch_size = batch_size
        self.checkpoint = checkpoint
        self.report_name = report_name

    def for_checkpoint(self, work_dir: WorkDir, checkpoint: str | None) -> Self:
        """Return the stage that evaluates a finished run again, or another model.

        Args:
            work_dir: of the run.
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
            stage.named, stage.references = (), ()
            if self.model_from:
                stem = Path(checkpoint).stem
                stage.name = f"{self.name}_{stem}"
                stage.report_name = f"{self.report_name}_{stem}"
        return stage

    # Resolving

    def runner_config(self, context: Context) -> dict:
        """Return the configuration of the test, once the stage before it is finished."""
        splits = self.splits(context)
        checkpoint = self.checkpoint_path(context)
        shared = context.runner_defaults(self.name)
        return {
            **shared,
            # Whole images differ in size, for each of which cuDNN would try all it has.
            "env_cfg": {**shared.get("env_cfg", {}), "cudnn_benchmark": False},
            "model": self.model_config(context),
            "load_from": str(checkpoint) if checkpoint else None,
            "test_dataloader": {split: self.dataloader(context, split) for split in splits},
            "test_evaluator": {split: self.evaluator(context, split) for split in splits},
            "test_cfg": {"type": "SplitsTestLoop", **self.test_cfg},
            "custom_hooks": self.custom_hooks,
        }

    def splits(self, context: Context) -> list[str]:
        """Return the splits to predict, those with masks first; only these for custom metrics."""
        if self.test_evaluator is not None:
            return context.splits_with_masks
        return list(context.description.evaluated)

    def dataloader(self, context: Context, split: str) -> dict:
        """Return the configuration of a split's data loader."""
        return {
            "batch_size": self.batch_size,
            "num_workers": context.num_workers,
            "worker_init_fn": {"type": "luss.start_worker"},
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "dataset": evaluation_set_config(context, split, self.pipeline),
        }

    def evaluator(self, context: Context, split: str) -> list[dict]:
        """Return the configurations of the metrics of a split."""
        if self.test_evaluator is not None:
            return self.test_evaluator
        masks = {"type": "DumpMasks", "folder": str(self.folder(context, split))}
        if split not in context.splits_with_masks:
            return [masks]
        return [masks, self.segmentation_metric(context, split)]

    def segmentation_metric(self, context: Context, split: str) -> dict:
        """Return the configuration of the metric of a split with masks."""
        return {
            "type": "SegmentationMetric",
            "num_classes": context.num_classes,
            "metrics": list(self.metrics),
            "boundary": self.boundary,
        }

    def num_outputs(self, context: Context) -> int:
        """Return the number of classes of a segmentor, with 'other'."""
        return context.num_classes + 1

    def model_config(self, context: Context) -> dict:
        """Return the configuration of the model, with the number of classes of its heads."""
        model = self.stated_model(context)
        if "decode_head" not in model:
            return model
        where = f"stages.{self.name if self.model else self.model_from}.model"
        return fill_num_classes(model, self.num_outputs(context), where)

    def stated_model(self, context: Context) -> dict:
        """Return the configuration of the model as the config states it.

        Raises:
            LussError: if there is neither a model nor a stage that has one.
        """
        refiner = {} if self.refiner is None else {"refiner": copy.deepcopy(self.refiner)}
        if self.model is not None:
            return {**copy.deepcopy(dict(self.model)), **refiner}
        stages = context.config["stages"]
        if self.model_from not in stages:
            raise LussError(
                f"stages.{self.name} evaluates what stage {self.model_from!r} trained, but the "
                f"config's stages are {', '.join(stages)}; set model_from to one of these"
            )
        return {**copy.deepcopy(dict(stages[self.model_from].get("model", {}))), **refiner}

    def checkpoint_path(self, context: Context) -> Path | None:
        """Return the path of the weights to evaluate; None if there are none."""
        if self.checkpoint:
            return Path(self.checkpoint)
        if self.model_from is None:
            return None
        return context.checkpoint_of(self.model_from)

    def folder(self, context: Context, split: str) -> Path:
        """Where the predictions of a split are."""
        return context.work_dir.stage(self.name) / "predictions" / split

    # Checks and evaluation

    def check(self, context: Context) -> None:
        """Build model, metrics and evaluation sets, and look through the masks.

        Raises:
            LussError: if something is unknown, images or masks are missing, or masks do not fit.
        """
        self.check_model(context)
        for split in self.splits(context):
            context.dataset(self.dataloader(context, split)["dataset"])
            for metric in self.evaluator(context, split):
                METRICS.build(dict(metric))
        for split in context.splits_with_masks:
            require_sound_masks(context, split)

    def check_model(self, context: Context) -> None:
        """Build the model.

        Raises:
            LussError: if it does not fit.
        """
        model = MODELS.build(self.model_config(context))
        if getattr(model, "refiner", None) is not None and not _keeps_photo(self.pipeline):
            raise LussError(
                f"the model of stages.{self.name} has a refiner, but stages.{self.name}.pipeline "
                f"does not keep the photo; set the refiner as stages.{self.name}.refiner instead"
            )
        if getattr(model, "reads_feature_maps", False):
            self.check_patches(context, model.backbone)

    def check_patches(
        self,
        context: Context,
        backbone: nn.Module,
        run: Callable[[Tensor], list[Tensor]] | None = None,
    ) -> None:
        """Check sizes of photos by :func:`luss.stages.patch_sizes.require_whole_patches`."""
        splits = self.splits(context)
        if not splits:
            return

        def photos() -> Sequence:
            return context.dataset(self.dataloader(context, splits[0])["dataset"])

        where = f"stages.{self.name}.pipeline"
        require_whole_patches(backbone, self.pipeline, where, photos, run)

    def run(self, context: Context) -> dict:
        """Evaluate splits with masks; log that there are none otherwise."""
        checkpoint, splits = self.checkpoint_path(context), context.splits_with_masks
        if splits:
            self.evaluate(context)
        else:
            if self.splits(context):
                self.build_runner(context).test()
            print_log(f"{self.protocol}: no split has masks, so there are no metrics", "current")
        return {
            "checkpoint": checkpoint.name if checkpoint else None,
            "splits": splits,
            "classes": context.description.classes,
        }

    def evaluate(self, context: Context) -> Results:
        """Test, and write the results.

        Returns:
            Split -> metric -> percent.
        """
        # Files that may be damaged are read before the long work.
        facts = {"data_root": context.data["data_root"], **self.facts(context)}
        runner = self.build_runner(context)
        tables = tables_of_variants(runner.test(), self.protocol)
        absent = absent_by_split(getattr(runner.test_loop, "evaluators", {}))
        path = context.work_dir.root / f"{self.report_name}.json"
        run = {"seed": context.seed, "config_hash": context.config_hash}
        optional = {f"{self.protocol}_{variant}" for variant in self.optional_variants}
        gone = optional - tables.keys()
        refiner = self.model_config(context).get("refiner")
        facts |= {**self.facts_of_test(context), "refiner": refiner, "absent_classes": absent}
        write_results(path, tables, facts, run, gone)
        return tables[self.protocol]

    def facts(self, context: Context) -> dict:
        """Return the provenance of the numbers, for ``results.json``."""
        checkpoint = self.checkpoint_path(context)
        named = f"{checkpoint.parent.name}/{checkpoint.name}" if checkpoint else None
        return {"checkpoint": named}

    def facts_of_test(self, context: Context) -> dict:
        """Return the facts that are known only after the test."""
        return {}


def _keeps_photo(pipeline: list[dict]) -> bool:
    return any(step.get("type") == "KeepPhoto" for step in pipeline)


def _keeping_photo(pipeline: list[dict], where: str) -> list[dict]:
    """Return a pipeline that keeps the photo for a refiner."""
    if _keeps_photo(pipeline):
        return pipeline
    kinds = [step.get("type") for step in pipeline]
    if "LoadRGBImage" not in kinds:
        raise LussError(
            f"{where}.refiner needs the photo, but {where}.pipeline has no LoadRGBImage; add "
            "dict(type='KeepPhoto') after the step that loads the photo"
        )
    after = kinds.index("LoadRGBImage") + 1
    return [*pipeline[:after], {"type": "KeepPhoto"}, *pipeline[after:]]
