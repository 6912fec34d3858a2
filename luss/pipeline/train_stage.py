"""Stages that train a model with MMEngine's runner."""

import copy
import math
import tempfile
from pathlib import Path
from typing import ClassVar

import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import get_world_size
from mmengine.logging import MMLogger, print_log

from luss.datasets import EpochSampler
from luss.engine.checkpoint import latest_checkpoint, required_checkpoint
from luss.engine.pretrained import check_pretrained
from luss.engine.workers import start_worker
from luss.errors import LussError
from luss.pipeline.components import require_known
from luss.pipeline.context import Context
from luss.pipeline.settings import require_count
from luss.pipeline.stage import Stage
from luss.pipeline.work_dir import main_process_decides
from luss.registry import (
    DATA_SAMPLERS,
    HOOKS,
    LOOPS,
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
        **runner,
    ) -> None:
        self.init_from = dict(init_from or {})
        super().__init__(name, tuple(dict.fromkeys([*self.init_from, *requires])))
        self.train_dataloader = train_dataloader
        self.param_scheduler = param_scheduler
        self.seed = seed
        self.runner = runner

    def has_partial_output(self, folder: Path) -> bool:
        """Whether there is a checkpoint to go on from."""
        return latest_checkpoint(folder) is not None

    def model_config(self, context: Context) -> dict:
        """The model's configuration."""
        return copy.deepcopy(self.runner["model"])

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
            check_pretrained(runner.model)
            # Built when they are first asked for, as MMEngine does it.
            sampler = runner.train_loop.dataloader.sampler
            runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
            if runner.param_schedulers is not None:
                runner.build_param_scheduler(runner.param_schedulers)
            # Its threads would go on writing.
            runner.visualizer.close()
        if not isinstance(sampler, EpochSampler):
            raise LussError(
                f"{where}.train_dataloader.sampler is {type(sampler).__name__}, which gives the "
                "same views in every epoch and cannot go on in the middle of one; use EpochSampler"
            )

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
            init_from=[
                (required_checkpoint(context.work_dir.stage(stage)), parts)
                for stage, parts in self.init_from.items()
            ],
        )

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
