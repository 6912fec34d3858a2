"""A stage that tests a model: evaluation, label generation, foreground maps."""

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

from mmengine.dist import barrier
from mmengine.logging import print_log
from torch import nn

from luss.build_errors import clear_build_errors, require_known
from luss.engine.checkpoint import latest_checkpoint
from luss.engine.foreign_weights import fill_backbone
from luss.errors import LussError
from luss.evaluation.results import Results, absent_by_split, tables_of_variants, write_results
from luss.models.backbones.weights import weights_entry
from luss.pipeline.context import Context
from luss.pipeline.runner_stage import RunnerStage
from luss.pipeline.work_dir import WorkDir
from luss.registry import CHECKS, LOOPS, METRICS, MODELS, PROTOCOLS, STAGES
from luss.stages.kept_photos import keeping_photo, require_photo
from luss.stages.loaders import complete_loader
from luss.stages.patch_sizes import require_whole_patches
from luss.stages.protocols.protocol import Protocol
from luss.stages.sound_masks import require_sound_masks
from luss.stages.stand_ins import loads_images, with_stand_ins, without_map_loading

__all__ = ["Test"]


@STAGES.register_module()
class Test(RunnerStage):
    """A stage that tests a model: ``Runner.test`` with any loop, metrics and hooks.

    Without a ``protocol``, the loop writes files into the stage's folder (``runner.work_dir``).
    ``roles`` of the loop's class, or ``outputs``, name them, so that other stages can refer to
    them. ``done.json`` contains what ``run`` of the loop returns. With a ``protocol``, the metrics
    are added to ``results.json``.

    A function in ``CHECKS`` with the name of the loop is called before the first stage starts.

    Args:
        name: see :class:`Stage`.
        test_dataloader: name -> data loader; or one data loader with ``splits``, which is used for
            each of these splits. In a split with masks, no image or mask may be missing; in others,
            unreadable training photos are skipped. A named loader with ``only_with_masks=True`` is
            left out if its split has no masks.
        test_cfg: the loop and its settings; with a protocol, by default ``SplitsTestLoop``.
        model: config of the model, such as ``"${finetune.model}"``; None for loops that need none.
        checkpoint: file with all weights of the model, such as ``"${finetune.checkpoint}"``.
        weights: file with the weights of the backbone only, see :class:`luss.stages.Train`.
        data_preprocessor: replaces that of the model.
        test_evaluator: configs of metrics; they replace those of the protocol. ``results.json``
            contains a metric called ``<variant>/<metric>`` under ``<protocol>_<variant>``.
        custom_hooks: configs of hooks.
        protocol: config of one of ``PROTOCOLS``; its metrics are added to ``results.json``.
        refiner: config of a refiner, such as ``dict(type="PAMR")``, which moves the edges of
            predictions to those of the photo, in the evaluation and in later predictions. Pipelines
            then keep the photo.
        outputs: role -> path below the stage's folder, of outputs that loop and protocol do not
            name.
        report_name: name of the JSON file with the results in the work dir, without ``.json``.
    """

    __test__ = False  # pytest would collect it

    settings: ClassVar[tuple[str, ...]] = ("seed", "data")

    def __init__(
        self,
        name: str,
        *,
        test_dataloader: dict,
        test_cfg: dict | None = None,
        model: dict | None = None,
        checkpoint: str | None = None,
        weights: str | dict | None = None,
        data_preprocessor: dict | None = None,
        test_evaluator: list[dict] | None = None,
        custom_hooks: Sequence[dict] = (),
        protocol: dict | None = None,
        refiner: dict | None = None,
        outputs: dict[str, str] | None = None,
        report_name: str = "results",
    ) -> None:
        super().__init__(name)
        where = f"stages.{name}"
        if test_cfg is None and protocol is None:
            raise LussError(f"{where} has neither 'test_cfg' nor 'protocol'; set one of them")
        self.test_dataloader = test_dataloader
        self.test_cfg = {"type": "SplitsTestLoop", **(test_cfg or {})}
        require_known(self.test_cfg, LOOPS, f"{where}.test_cfg")
        self.model = {"type": "NoModel"} if model is None else model
        self.checkpoint = checkpoint
        self.weights = weights_entry(weights)
        self.data_preprocessor = data_preprocessor
        self.test_evaluator = test_evaluator
        self.custom_hooks = list(custom_hooks)
        self.protocol: Protocol | None = None
        if protocol is not None:
            require_known(protocol, PROTOCOLS, f"{where}.protocol")
            with clear_build_errors(f"{where}.protocol"):
                self.protocol = PROTOCOLS.build(dict(protocol))
        self.refiner = refiner
        if refiner is not None:
            self.test_dataloader = keeping_photo(test_dataloader, where)
        self.report_name = report_name
        of_loop = getattr(self.loop, "roles", {})
        of_protocol = self.protocol.roles if self.protocol else {}
        self.roles: Mapping[str, str] = {**of_loop, **of_protocol, **(outputs or {})}
        self.noted: tuple[str, ...] = tuple(getattr(self.loop, "noted", ()))

    @property
    def loop(self) -> type:
        """Class of the test loop."""
        kind = self.test_cfg["type"]
        return LOOPS.get(kind) if isinstance(kind, str) else kind

    @property
    def depends_on(self) -> tuple[str, ...]:
        """As of all stages; and what the protocol reads."""
        return (*super().depends_on, *(self.protocol.settings if self.protocol else ()))

    def has_partial_output(self, folder: Path) -> bool:
        """Return whether the loop has begun with an output from which it continues."""
        return any((folder / path).exists() for path in getattr(self.loop, "begun_by", ()))

    def digests_of_files(self, work_dir: WorkDir) -> dict[str, str]:
        """Return the digests of the files that the protocol reads."""
        return self.protocol.digests_of_files(self, work_dir) if self.protocol else {}

    def for_checkpoint(self, work_dir: WorkDir, checkpoint: str | None) -> Self:
        """Return the stage that evaluates a finished run again, or another model.

        Args:
            work_dir: of the run.
            checkpoint: of another model; its output is named after the file, beside the run's.

        Raises:
            LussError: if there is no such file.
        """
        stage = copy.copy(self)
        if checkpoint is not None:
            if not Path(checkpoint).is_file():
                text = f"there is no checkpoint {checkpoint}; give the path of a .pth file"
                raise LussError(text)
            source = self.source_of("checkpoint") or self.source_of("weights")
            newest = latest_checkpoint(work_dir.stage(source)) if source else None
            if newest is None or not newest.samefile(checkpoint):
                if self.checkpoint is None:
                    stage.weights = {**_settings(self.weights), "file": str(checkpoint)}
                else:
                    stage.checkpoint = str(checkpoint)
                stage.references = ()
                if source:
                    stem = Path(checkpoint).stem
                    stage.name = f"{self.name}_{stem}"
                    stage.report_name = f"{self.report_name}_{stem}"
        if self.protocol:
            stage.protocol = self.protocol.for_run(stage, work_dir)
        return stage

    # Resolving

    def runner_config(self, context: Context) -> dict:
        """Return the configuration of the test, once the stages before it are finished."""
        shared = context.runner_defaults(self.name)
        loaders = self.loaders(context)
        hooks = self.protocol.hooks(self, context) if self.protocol else []
        if self.weights is not None or (self.protocol and self.protocol.reads_backbone):
            fill = {"type": "BackboneWeightsHook", "weights": self.weights, "seed": context.seed}
            hooks = [fill, *hooks]
        return {
            **shared,
            # Whole images differ in size, for each of which cuDNN would try all it has.
            "env_cfg": {**shared.get("env_cfg", {}), "cudnn_benchmark": False},
            "model": self.model_config(),
            "load_from": self.checkpoint,
            "test_dataloader": loaders,
            "test_evaluator": self.evaluators(context, list(loaders)),
            "test_cfg": self.test_cfg,
            "custom_hooks": [*hooks, *self.custom_hooks],
        }

    def loaders(self, context: Context) -> dict[str, dict]:
        """Return name -> complete configuration of each data loader."""
        given = self.test_dataloader
        if "dataset" in given:
            splits = given.get("splits", [given["dataset"].get("split", "train")])
            return {split: self.loader_of_split(context, split) for split in splits}
        found = {}
        for name, loader in given.items():
            loader = dict(loader)
            with_masks = loader.pop("only_with_masks", False)
            split = loader.get("dataset", {}).get("split", "train")
            if not with_masks or split in context.splits_with_masks:
                where = f"stages.{self.name}.test_dataloader.{name}"
                found[name] = complete_loader(loader, context, where)
        return found

    def loader_of_split(self, context: Context, split: str) -> dict:
        """Return the complete configuration of a split's data loader."""
        loader = {key: value for key, value in self.test_dataloader.items() if key != "splits"}
        dataset: dict[str, Any] = {"on_unreadable": "skip" if split == "train" else "fail"}
        if split in (*context.splits_with_masks, "train-semi"):
            dataset["require_masks"] = True
        dataset |= {**loader["dataset"], "split": split}
        where = f"stages.{self.name}.test_dataloader"
        return complete_loader({**loader, "dataset": dataset}, context, where)

    def evaluators(self, context: Context, splits: list[str]) -> Any:
        """Return the configurations of the metrics, by split with a protocol."""
        if self.protocol is None or self.test_evaluator is not None:
            return self.test_evaluator or []
        return {split: self.protocol.metrics_of(self, context, split) for split in splits}

    def model_config(self) -> dict:
        """Return the configuration of the model."""
        model = copy.deepcopy(dict(self.model))
        if self.data_preprocessor is not None:
            model["data_preprocessor"] = dict(self.data_preprocessor)
        if self.refiner is not None:
            model["refiner"] = dict(self.refiner)
        return model

    # Checks

    def check(self, context: Context) -> None:
        """Build model, metrics and data sets, check the masks, and run the loop's own checks.

        Raises:
            LussError: if something is unknown, images or masks are missing, masks do not fit, or an
                evaluation loads features instead of images.
        """
        loaders = self.loaders(context)
        model = self._built_model(context)
        if getattr(model, "refiner", None) is not None:
            require_photo(self.test_dataloader, f"stages.{self.name}")
        if self.protocol is None or getattr(model, "reads_feature_maps", False):
            self.require_whole_patches(context, model)
        for loader in loaders.values():
            dataset = without_map_loading(loader["dataset"])
            context.dataset(dataset)
            if self.protocol and not loads_images(dataset):
                raise LussError(
                    f"stages.{self.name}.test_dataloader has a pipeline with LoadFeatures and "
                    "without LoadRGBImage, but evaluations run the network on photos; load photos"
                )
            if dataset.get("require_masks") and dataset["split"] in context.splits_with_masks:
                require_sound_masks(context, dataset["split"])
        evaluators = self.evaluators(context, list(loaders))
        of_splits = evaluators.values() if isinstance(evaluators, Mapping) else [evaluators]
        for metric in (metric for metrics in of_splits for metric in metrics):
            METRICS.build(dict(metric))
        if (check := CHECKS.get(self.loop.__name__)) is not None:
            check(self, context, model)
        if self.protocol:
            self.protocol.check(self, context, model)

    def _built_model(self, context: Context) -> nn.Module:
        """Build the model, also where maps that it reads do not exist yet; fill its backbone."""
        model = MODELS.build(with_stand_ins(self.model_config(), context.work_dir.root))
        if self.weights is not None and self.source_of("weights") is None:
            fill_backbone(model.backbone, self.weights, f"stages.{self.name}.weights")
        return model

    def require_whole_patches(self, context: Context, model: nn.Module, **kwargs: Any) -> None:
        """Check that the patches of a transformer cover photos, see :mod:`.patch_sizes`."""
        backbone = getattr(model, "backbone", None)
        if not isinstance(backbone, nn.Module):
            return
        for name, loader in self.loaders(context).items():
            dataset = without_map_loading(loader["dataset"])
            pipeline = dataset.get("pipeline", [])
            where = f"stages.{self.name}.test_dataloader"
            where += ".dataset.pipeline" if "dataset" in self.test_dataloader else f".{name}"
            photos = partial(context.dataset, dataset)
            require_whole_patches(backbone, pipeline, where, photos, **kwargs)

    # Test

    def run(self, context: Context) -> dict:
        """Test; with a protocol, evaluate the splits with masks, or log why there are none."""
        if self.protocol is None:
            facts = self.build_runner(context).test() or {}
            self._require_outputs(context)
            return facts
        if reason := self.protocol.passes_over(context):
            print_log(f"{self.protocol.name}: {reason}", "current")
            return {"splits": []}
        if not self.loaders(context):
            print_log(f"{self.protocol.name}: no split to test has masks", "current")
            return {"splits": []}
        splits = context.splits_with_masks
        if splits:
            self.evaluate(context)
        else:
            self.build_runner(context).test()
            print_log(
                f"{self.protocol.name}: no split has masks, so there are no metrics", "current"
            )
        return {
            "checkpoint": Path(self.checkpoint).name if self.checkpoint else None,
            "splits": splits,
            "classes": context.description.classes,
        }

    def _require_outputs(self, context: Context) -> None:
        """Check that the loop has written its outputs."""
        barrier()
        folder = context.work_dir.stage(self.name)
        missing = self.roles.keys() - self.outputs(folder).keys()
        for role in sorted(missing - set(getattr(self.loop, "optional_roles", ()))):
            raise LussError(
                f"stages.{self.name}: {self.loop.__name__} did not write its output {role!r} to "
                f"{folder / self.roles[role]}; write it there in the loop, or correct the path in "
                "the roles of the loop or the outputs of the stage"
            )

    def evaluate(self, context: Context) -> Results:
        """Test by the protocol, and write the results.

        Returns:
            Split -> metric -> percent.
        """
        protocol = self.protocol
        assert protocol is not None, "only stages with a protocol are evaluated"
        # Files that may be damaged are read before the long work.
        facts = {"data_root": context.data["data_root"], **protocol.facts(self, context)}
        runner = self.build_runner(context)
        tables = tables_of_variants(runner.test(), protocol.name)
        absent = absent_by_split(getattr(runner.test_loop, "evaluators", {}))
        path = context.work_dir.root / f"{self.report_name}.json"
        run = {"seed": context.seed, "config_hash": context.config_hash}
        optional = {f"{protocol.name}_{variant}" for variant in protocol.optional_variants}
        facts |= {**protocol.facts_of_test(self, context), "absent_classes": absent}
        facts["refiner"] = self.model_config().get("refiner")
        write_results(path, tables, facts, run, optional - tables.keys())
        return tables[protocol.name]


def _settings(weights: str | dict | None) -> dict:
    return dict(weights) if isinstance(weights, Mapping) else {}
