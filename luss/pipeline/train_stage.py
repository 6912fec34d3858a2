"""Stages that train a model with MMEngine's runner."""

import copy
import logging
import math
import tempfile
from pathlib import Path
from typing import ClassVar

import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.logging import MMLogger, print_log
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from luss.datasets import EpochSampler
from luss.engine.checkpoint import (
    is_below,
    latest_checkpoint,
    load,
    required_checkpoint,
    save,
)
from luss.engine.foreign_weights import build_backbone
from luss.engine.pretrained import check_pretrained
from luss.engine.workers import start_worker
from luss.errors import LussError
from luss.models.backbones import probe
from luss.pipeline.components import require_known
from luss.pipeline.context import Context
from luss.pipeline.init_from import refuse_other_tensors
from luss.pipeline.settings import require_count
from luss.pipeline.stage import Stage
from luss.pipeline.work_dir import main_process_decides
from luss.registry import (
    DATA_SAMPLERS,
    HOOKS,
    LOOPS,
    MODELS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    RUNNERS,
    STAGES,
)

__all__ = ["TrainStage"]

_OWN_HOOKS = (
    {"type": "StatelessRandomnessHook"},
    {"type": "LossGuardHook"},
    {"type": "GracefulStopHook"},
)

_IN_CONFIG = (
    "sync_bn",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "activation_checkpointing",
    "efficient_conv_bn_eval",
    "compile",
)
"""Read by MMEngine from its configuration, not from arguments."""


@STAGES.register_module()
class TrainStage(Stage):
    """Trains a model; everything but the arguments below is a runner's configuration.

    The output is the newest ``iter_*.pth`` in its folder; the last epoch is used, never a 'best'.

    Args:
        name: see :class:`Stage`.
        train_dataloader: as MMEngine's; its data set takes what it leaves open from ``data``.
        init_from: stage name -> parts (module names) that start from its checkpoint.
        param_scheduler: as MMEngine's; schedulers by epoch end with the last epoch unless they
            say otherwise.
        requires: more stages whose output is read.
        seed: instead of the run's.
        weights: from which the backbone starts, a path or a dict of file, layout, key, prefix and
            rename, see :class:`luss.models.backbones.weights.WeightsEntry`.
        **runner: further settings of :class:`luss.engine.runner.Runner`; what is absent is taken
            from the top level of the config.
    """

    settings: ClassVar[tuple[str, ...]] = ("seed", "data", "env_cfg", "default_hooks")

    def __init__(
        self,
        name: str,
        train_dataloader: dict,
        init_from: dict[str, list[str]] | None = None,
        param_scheduler: list[dict] | None = None,
        requires: tuple[str, ...] = (),
        seed: int | None = None,
        weights: str | dict | None = None,
        **runner,
    ) -> None:
        self.init_from = dict(init_from or {})
        super().__init__(name, tuple(dict.fromkeys([*self.init_from, *requires])))
        self.train_dataloader = train_dataloader
        self.param_scheduler = param_scheduler
        self.seed = seed
        self.weights = weights
        self.runner = runner
        self._states: dict[str, dict[str, torch.Size]] = {}

    def has_partial_output(self, folder: Path) -> bool:
        """Whether there is a checkpoint to go on from."""
        return latest_checkpoint(folder) is not None

    def model_config(self, context: Context) -> dict:
        """The model's configuration; what does not start from pretrained weights is not frozen."""
        config = copy.deepcopy(self.runner["model"])
        kind = MODELS.get(config["type"]) if isinstance(config.get("type"), str) else None
        frozen = getattr(kind, "pretrained_parts", None)
        if frozen is not None and "frozen" not in config:
            loaded = {part for parts in self.parts_to_load(context).values() for part in parts}
            loaded |= {"backbone"} if self.weights else set()
            config["frozen"] = [
                name for name in frozen if any(is_below(name, part) for part in loaded)
            ]
        return config

    def foreign_weights(self, context: Context) -> str | dict | None:
        """Weights that take the place of training; None if the stage trains."""
        return None

    def output_state(self, context: Context) -> dict[str, Tensor]:
        """Tensors of the names and shapes that the stage's checkpoint will have."""
        return MODELS.build(self.model_config(context)).state_dict()

    def filled_backbone(
        self, config: dict, weights: str | dict, context: Context
    ) -> dict[str, Tensor]:
        """The tensors of a model's backbone, filled from a file, by the model's names.

        Raises:
            LussError: if the file does not fit.
        """
        seed = context.seed if self.seed is None else self.seed
        where = f"stages.{self.name}.weights"
        backbone = build_backbone(config["backbone"], weights, seed, where)
        probe(backbone)
        return {f"backbone.{name}": value for name, value in backbone.state_dict().items()}

    def parts_to_load(self, context: Context) -> dict[str, list[str]]:
        """``init_from`` without the parts that weights of others do not have."""
        return {
            name: [part for part in parts if part not in self._absent(name, context)]
            for name, parts in self.init_from.items()
        }

    def _absent(self, name: str, context: Context) -> set[str]:
        """Parts to start from a stage that took its weights from a file, which has not got them."""
        stage = self._source(name, context)
        if not isinstance(stage, TrainStage) or stage.foreign_weights(context) is None:
            return set()
        state = self._source_state(name, context)
        return {
            part for part in self.init_from[name] if not any(is_below(key, part) for key in state)
        }

    @staticmethod
    def _source(name: str, context: Context) -> Stage | None:
        config = context.config["stages"].get(name)
        return STAGES.build({**config, "name": name}) if config is not None else None

    def _source_state(self, name: str, context: Context) -> dict[str, torch.Size]:
        """Names and shapes in the checkpoint of another stage, there or to come."""
        if name not in self._states:
            folder, stage = context.work_dir.stage(name), self._source(name, context)
            if latest_checkpoint(folder) is not None and context.work_dir.is_done(name):
                state = load(required_checkpoint(folder)).get("state_dict", {})
            else:
                state = stage.output_state(context) if isinstance(stage, TrainStage) else {}
            self._states[name] = {
                key.removeprefix("module."): value.shape for key, value in state.items()
            }
        return self._states[name]

    def _check_init_from(self, context: Context, model: nn.Module) -> None:
        """Compare the parts with those of the stages that they come from, by name and shape."""
        own = {name: value.shape for name, value in model.state_dict().items()}
        for stage, parts in self.parts_to_load(context).items():
            state = self._source_state(stage, context)
            for part in parts if state else ():
                refuse_other_tensors(
                    {name: shape for name, shape in state.items() if is_below(name, part)},
                    {name: shape for name, shape in own.items() if is_below(name, part)},
                    f"{part!r} of stages.{self.name}",
                    f"that of stages.{stage}",
                )
        if self.weights:
            self.filled_backbone(self.model_config(context), self.weights, context)

    def _check_sizes(self, dataset: BaseDataset, model: nn.Module) -> None:
        """Try the backbone on the sizes of the views."""
        if getattr(model, "reads_feature_maps", False):
            views = dataset[0]["inputs"]
            views = views if isinstance(views, list | tuple) else [views]
            for size in sorted({tuple(view.shape[-2:]) for view in views}):
                probe(model.backbone, size)

    def dataset_config(self, context: Context) -> dict:
        """The training set's configuration."""
        config = copy.deepcopy(self.train_dataloader["dataset"])
        return config if self.seed is None else {"seed": self.seed, **config}

    def check(self, context: Context) -> None:
        """Build all that training will use, and put it away again.

        Raises:
            LussError: if a component is unknown, a setting missing or of no use, or the images do
                not fill a batch.
        """
        where = f"stages.{self.name}"
        self._check_settings(where, context)
        dataset = self.training_set(context, with_labels=False)
        self._check_batches(len(dataset), where)
        with tempfile.TemporaryDirectory() as folder:
            runner = self._new_runner(context, dataset, folder, name=folder)
            try:
                sampler = self._check_runner(runner, context, dataset)
            finally:
                # Its threads would go on writing.
                runner.visualizer.close()
        if not isinstance(sampler, EpochSampler):
            raise LussError(
                f"{where}.train_dataloader.sampler is {type(sampler).__name__}, which gives the "
                "same views in every epoch and cannot go on in the middle of one; use EpochSampler"
            )

    def _check_runner(self, runner, context: Context, dataset: BaseDataset):
        """Build what MMEngine builds when it is first asked for, and look at the model."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        check_pretrained(model)
        self._check_init_from(context, model)
        self._check_sizes(dataset, model)
        sampler = runner.train_loop.dataloader.sampler
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        if runner.param_schedulers is not None:
            runner.build_param_scheduler(runner.param_schedulers)
        return sampler

    def _check_settings(self, where: str, context: Context) -> None:
        """Look up what is named, for errors that list what there is."""
        for key in ("model", "optim_wrapper", "train_cfg"):
            if key not in self.runner:
                raise LussError(f"{where} has no {key!r}, which a stage that trains needs")
        if "max_epochs" not in self.runner["train_cfg"]:
            raise LussError(f"{where}.train_cfg has no 'max_epochs'")
        require_count(self.runner["train_cfg"]["max_epochs"], f"{where}.train_cfg.max_epochs")
        require_count(
            self.train_dataloader.get("batch_size", 1), f"{where}.train_dataloader.batch_size"
        )
        wrapper = {"type": "OptimWrapper", **self.runner["optim_wrapper"]}
        require_known(wrapper, OPTIM_WRAPPERS, f"{where}.optim_wrapper")
        require_known(wrapper.get("optimizer", {}), OPTIMIZERS, f"{where}.optim_wrapper.optimizer")
        require_known(self.runner["train_cfg"], LOOPS, f"{where}.train_cfg")
        sampler = self.train_dataloader.get("sampler", {})
        require_known(sampler, DATA_SAMPLERS, f"{where}.train_dataloader.sampler")
        for schedule in self.param_scheduler or ():
            require_known(schedule, PARAM_SCHEDULERS, f"{where}.param_scheduler")
        for hook in self.runner.get("custom_hooks", ()):
            require_known(hook, HOOKS, f"{where}.custom_hooks")
        for name, hook in context.config.get("default_hooks", {}).items():
            if hook is not None:
                require_known(hook, HOOKS, f"default_hooks.{name}")

    def _check_batches(self, images: int, where: str) -> None:
        """An epoch must have an iteration, on every rank."""
        batch_size, processes = self.train_dataloader.get("batch_size", 1), get_world_size()
        if self.train_dataloader.get("drop_last") and math.ceil(images / processes) < batch_size:
            raise LussError(
                f"an epoch of {where} has no iteration: {images} images over {processes} "
                f"process(es) do not fill a batch of {batch_size}; lower "
                f"{where}.train_dataloader.batch_size or add images"
            )

    def training_set(self, context: Context, with_labels: bool = True) -> BaseDataset:
        """Build the training set.

        Args:
            context: of the run.
            with_labels: whether labels that another stage makes are there already.
        """
        return context.dataset(self.dataset_config(context))

    def build_runner(self, context: Context):
        """Build the runner of this stage."""
        if _needs_gpu(self.runner["optim_wrapper"]):
            print_log("no GPU: training in full precision instead of mixed precision", "current")
        folder = context.work_dir.stage(self.name)
        resume_from = main_process_decides(latest_checkpoint(folder) if context.resume else None)
        return self._new_runner(
            context,
            self.training_set(context),
            str(folder),
            name=f"{context.work_dir.root.resolve()}/{self.name}",
            load_from=str(resume_from) if resume_from else None,
            resume=resume_from is not None,
            init_from=self._starting_points(context),
        )

    def _starting_points(self, context: Context) -> list[tuple[Path, list[str]]]:
        """Checkpoints and the parts that start from them."""
        for stage in self.init_from:
            for part in sorted(self._absent(stage, context)):
                print_log(
                    f"stage {self.name}: {part} starts from random weights and is trained, since "
                    f"the weights that stage {stage} took from a file have none of it",
                    "current",
                    level=logging.WARNING,
                )
        found = [
            (required_checkpoint(context.work_dir.stage(stage)), parts)
            for stage, parts in self.parts_to_load(context).items()
            if parts
        ]
        if self.weights:
            path = context.work_dir.stage(self.name) / "weights.pth"
            if is_main_process() and not path.exists():
                config = self.model_config(context)
                state = self.filled_backbone(config, self.weights, context)
                save(path, {"state_dict": state, "meta": {}})
            barrier()
            found.append((path, ["backbone"]))
        return found

    def _new_runner(
        self,
        context: Context,
        dataset: BaseDataset,
        folder: str,
        name: str,
        **settings,
    ):
        """Build a runner.

        Args:
            context: of the run.
            dataset: to train on.
            folder: where it writes.
            name: of its own: two runners of one name in a process share pictures and scalars.
            **settings: where it starts from.
        """
        shared = {
            key: copy.deepcopy(context.config[key])
            for key in ("default_hooks", "env_cfg", "visualizer", "log_processor", "log_level")
            if key in context.config
        }
        settings = {**shared, **copy.deepcopy(self.runner), **settings}
        settings.update(
            model=self.model_config(context),
            work_dir=folder,
            param_scheduler=self._schedulers(settings["train_cfg"]["max_epochs"]),
            optim_wrapper=_optim_wrapper(settings["optim_wrapper"]),
            custom_hooks=[*map(dict, _OWN_HOOKS), *settings.get("custom_hooks", [])],
            launcher=context.launcher,
            default_scope="luss",
            randomness={"seed": context.seed if self.seed is None else self.seed},
            experiment_name=name,
        )
        in_config = {key: settings.pop(key) for key in _IN_CONFIG if key in settings}
        return RUNNERS.get("Runner")(
            **settings,
            logger=MMLogger.get_current_instance(),
            train_dataloader={
                "num_workers": context.num_workers,
                "persistent_workers": context.num_workers > 0,
                "worker_init_fn": {"type": start_worker},
                **copy.deepcopy(self.train_dataloader),
                "dataset": dataset,
            },
            cfg=in_config,
        )

    def run(self, context: Context) -> dict:
        """Train to the last epoch."""
        runner = self.build_runner(context)
        try:
            runner.train()
        finally:
            for hook in runner.hooks:
                if release := getattr(hook, "release", None):
                    release()
        checkpoint = latest_checkpoint(context.work_dir.stage(self.name))
        if checkpoint is None:
            raise LussError(
                f"stage {self.name!r} ended without a checkpoint; its default_hooks.checkpoint "
                "must be luss' CheckpointHook"
            )
        return {"checkpoint": checkpoint.name, "iterations": runner.iter, "epochs": runner.epoch}

    def _schedulers(self, max_epochs: int) -> list[dict] | None:
        if self.param_scheduler is None:
            return None
        schedulers = copy.deepcopy(list(self.param_scheduler))
        for scheduler in schedulers:
            if scheduler.get("by_epoch", True):
                scheduler.setdefault("end", max_epochs)
        return schedulers


def _needs_gpu(optim_wrapper: dict) -> bool:
    """Whether mixed precision is asked for where there is no GPU."""
    return optim_wrapper.get("type") == "AmpOptimWrapper" and not torch.cuda.is_available()


def _optim_wrapper(config: dict) -> dict:
    config = copy.deepcopy(config)
    if _needs_gpu(config):
        config = {k: v for k, v in config.items() if k not in ("dtype", "loss_scale")}
        config["type"] = "OptimWrapper"
    return config
