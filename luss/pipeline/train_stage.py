"""Stages that train a model."""

import copy
import logging
import math
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import torch
from mmengine import Config
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from luss.build_errors import require_known
from luss.config_checks import require_count, require_keys
from luss.datasets import reproducible_sampler
from luss.engine.checkpoint import is_below, latest_checkpoint
from luss.engine.foreign_weights import build_backbone
from luss.engine.hooks import CheckpointHook
from luss.engine.pretrained import check_pretrained
from luss.errors import LussError
from luss.models.backbones import probe
from luss.pipeline.context import Context
from luss.pipeline.map_folders import loads_maps
from luss.pipeline.runner_stage import RunnerStage
from luss.pipeline.starting_parts import StartingParts
from luss.pipeline.work_dir import main_process_decides
from luss.registry import HOOKS, MODELS, OPTIMIZERS, RUNNERS, STAGES, VISBACKENDS

__all__ = ["TrainStage"]

_OWN_HOOKS = ("StatelessRandomnessHook", "LossGuardHook", "GracefulStopHook")

_IN_CONFIG = (
    "sync_bn",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "activation_checkpointing",
    "efficient_conv_bn_eval",
    "compile",
)
"""What MMEngine's runner reads from its configuration beside its arguments."""

_VALIDATION = ("val_cfg", "val_dataloader", "val_evaluator")
_NEEDED = ("model", "optim_wrapper", "train_cfg")
_OPTIONAL = (
    "auto_scale_lr",
    "custom_hooks",
    "data_preprocessor",
    "default_hooks",
    "env_cfg",
    "log_level",
    "log_processor",
    "randomness",
    "visualizer",
    *_VALIDATION,
    *_IN_CONFIG,
)


@STAGES.register_module()
class TrainStage(RunnerStage):
    """Trains a model; everything but the arguments below is a runner's configuration.

    The output is the newest ``iter_*.pth`` in its folder; the last epoch is used, never a 'best'.

    Args:
        name: see :class:`Stage`.
        train_dataloader: as MMEngine's; its data set takes what it leaves open from ``data``.
        init_from: stage name -> parts (module names) that start from its checkpoint.
        param_scheduler: as MMEngine's; schedulers end with training unless they say otherwise.
        requires: more stages whose output is read.
        seed: instead of the run's.
        weights: from which the backbone starts, a path or a dict of file, layout, key, prefix and
            rename, see :class:`luss.models.backbones.weights.WeightsEntry`.
        **runner: further settings of :class:`luss.engine.runner.Runner`; what is absent is taken
            from the top level of the config.
    """

    settings: ClassVar[tuple[str, ...]] = (
        "seed",
        "data",
        "env_cfg",
        "default_hooks",
        "auto_scale_lr",
    )

    goes_on_from_checkpoints: ClassVar[bool] = True

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

    def has_partial_output(self, folder: Path) -> bool:
        """Whether there is a checkpoint to go on from."""
        return latest_checkpoint(folder) is not None

    # Resolving

    def runner_config(self, context: Context) -> dict:
        """The configuration of training, when the stages before are whole."""
        return {
            **self._resolved(context, self.dataset_config(context)),
            "init_from": StartingParts(self.init_from, context).checkpoints(),
            "weights": self.weights,
        }

    def _resolved(self, context: Context, dataset: dict) -> dict:
        """All of the configuration but where the model starts from."""
        given = copy.deepcopy(self.runner)
        defaults = context.runner_defaults(self.name)
        merged = {
            key: Config._merge_a_into_b(given.pop(key), defaults.get(key, {}))
            for key in ("default_hooks", "auto_scale_lr")
            if key in given
        }
        if "val_dataloader" in given:
            given["val_dataloader"] = _loader(given["val_dataloader"], context)
        loader = _loader({**self.train_dataloader, "dataset": dataset}, context)
        if "sampler" in loader:
            loader["sampler"] = reproducible_sampler(loader["sampler"])
        return {
            **defaults,
            **given,
            **merged,
            "model": self.model_config(context),
            "train_dataloader": loader,
            "param_scheduler": self._schedulers(given["train_cfg"].get("max_epochs")),
            "custom_hooks": [
                *({"type": hook} for hook in _OWN_HOOKS),
                *given.get("custom_hooks", ()),
            ],
            "randomness": {
                **given.get("randomness", {}),
                "seed": context.seed if self.seed is None else self.seed,
            },
        }

    def model_config(self, context: Context) -> dict:
        """The model's configuration; what does not start from pretrained weights is not frozen."""
        config = copy.deepcopy(self.runner["model"])
        kind = MODELS.get(config["type"]) if isinstance(config.get("type"), str) else None
        frozen = getattr(kind, "pretrained_parts", None)
        if frozen is not None and "frozen" not in config:
            parts = StartingParts(self.init_from, context).present.values()
            loaded = {part for of_stage in parts for part in of_stage}
            loaded |= {"backbone"} if self.weights else set()
            config["frozen"] = [
                name for name in frozen if any(is_below(name, part) for part in loaded)
            ]
        return config

    def dataset_config(self, context: Context) -> dict:
        """The training set's configuration, as far as the stage states it."""
        config = copy.deepcopy(self.train_dataloader["dataset"])
        return config if self.seed is None else {"seed": self.seed, **config}

    def unlabelled_dataset_config(self, context: Context) -> dict:
        """The same before labels that another stage makes are there, for checks."""
        return self.dataset_config(context)

    def _schedulers(self, max_epochs: int | None) -> list[dict] | None:
        if self.param_scheduler is None:
            return None
        schedulers = copy.deepcopy(list(self.param_scheduler))
        for scheduler in schedulers:
            if scheduler.get("by_epoch", True) and max_epochs is not None:
                scheduler.setdefault("end", max_epochs)
        return schedulers

    # Where the model starts from

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

    # Checks before the first stage starts

    def check(self, context: Context) -> None:
        """Build all that training will use, and put it away again.

        Raises:
            LussError: if a component is unknown, a setting missing or of no use, or the images do
                not fill a batch.
        """
        where = f"stages.{self.name}"
        self._check_settings(where, context)
        config = self._resolved(context, self.unlabelled_dataset_config(context))
        dataset = context.dataset(config["train_dataloader"]["dataset"])
        self._check_batches(len(dataset), where)
        with tempfile.TemporaryDirectory() as folder:
            elsewhere = {"work_dir": folder, "experiment_name": folder}
            # Without back ends, whose threads would go on writing.
            visualizer = {**config.get("visualizer", {"type": "Visualizer"}), "vis_backends": None}
            runner = RUNNERS.build(Config({**config, **elsewhere, "visualizer": visualizer}))
            self._check_runner(runner, context, where)

    def _check_settings(self, where: str, context: Context) -> None:
        require_keys(self.runner, _NEEDED, where, optional=_OPTIONAL)
        ends = [key for key in ("max_epochs", "max_iters") if key in self.runner["train_cfg"]]
        if not ends:
            raise LussError(f"{where}.train_cfg has no 'max_epochs', nor 'max_iters'")
        for key in ends:
            require_count(self.runner["train_cfg"][key], f"{where}.train_cfg.{key}")
        given = [key for key in _VALIDATION if key in self.runner]
        if given and len(given) < len(_VALIDATION):
            raise LussError(
                f"{where} has {', '.join(given)}, but validation takes {', '.join(_VALIDATION)}; "
                "val_cfg may be dict()"
            )
        scale = {**context.config.get("auto_scale_lr", {}), **self.runner.get("auto_scale_lr", {})}
        if scale:
            require_keys(scale, ("base_batch_size",), f"{where}.auto_scale_lr", ("enable",))
            require_count(scale["base_batch_size"], f"{where}.auto_scale_lr.base_batch_size")
        require_count(
            self.train_dataloader.get("batch_size", 1), f"{where}.train_dataloader.batch_size"
        )
        optimizer = self.runner["optim_wrapper"].get("optimizer", {})
        require_known(optimizer, OPTIMIZERS, f"{where}.optim_wrapper.optimizer")
        for name, hook in context.config.get("default_hooks", {}).items():
            if hook is not None:
                require_known(hook, HOOKS, f"default_hooks.{name}")
        for backend in context.config.get("visualizer", {}).get("vis_backends") or ():
            require_known(backend, VISBACKENDS, "visualizer.vis_backends")

    def _check_batches(self, images: int, where: str) -> None:
        """An epoch must have an iteration, on every rank."""
        batch_size, processes = self.train_dataloader.get("batch_size", 1), get_world_size()
        if self.train_dataloader.get("drop_last") and math.ceil(images / processes) < batch_size:
            raise LussError(
                f"an epoch of {where} has no iteration: {images} images over {processes} "
                f"process(es) do not fill a batch of {batch_size}; lower "
                f"{where}.train_dataloader.batch_size or add images"
            )

    def _check_runner(self, runner: Runner, context: Context, where: str) -> None:
        """Build what MMEngine builds when it is first asked for, and look at the model."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        check_pretrained(model)
        if getattr(model, "reads_maps", False) != loads_maps(self.train_dataloader["dataset"]):
            raise LussError(
                f"{where}: a model with a teacher and LoadForegroundMap in the pipeline belong "
                "together, one of them is missing; a TrainWithMapsStage says where the maps lie"
            )
        StartingParts(self.init_from, context).refuse_other_tensors(model, where)
        if self.weights:
            self.filled_backbone(self.model_config(context), self.weights, context)
        loader = runner.train_loop.dataloader
        _check_sizes(loader.dataset, model)
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        if runner.param_schedulers is not None:
            runner.build_param_scheduler(runner.param_schedulers)
        if not getattr(loader.sampler, "yields_draws", False):
            raise LussError(
                f"{where}.train_dataloader takes its order from {type(loader.sampler).__name__}, "
                "which cannot be entered in the middle of an epoch; give a sampler, and no "
                "batch_sampler"
            )
        if getattr(loader.sampler, "endless", False) and "max_epochs" in self.runner["train_cfg"]:
            raise LussError(
                f"{where}.train_dataloader.sampler never ends, so that no epoch would; train for a "
                "number of iterations, or use DefaultSampler"
            )
        if runner.val_loop is not None:
            _try_validation(runner, where)
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                hook.refuse_no_validation(runner)

    # Training

    def build_runner(self, context: Context, **start: Any) -> Runner:
        """Build the runner of this stage, which goes on from the newest checkpoint if it may."""
        for stage, parts in StartingParts(self.init_from, context).absent.items():
            for part in sorted(parts):
                print_log(
                    f"stage {self.name}: {part} starts from random weights and is trained, since "
                    f"the weights that stage {stage} took from a file have none of it",
                    "current",
                    level=logging.WARNING,
                )
        folder = context.work_dir.stage(self.name)
        newest = main_process_decides(latest_checkpoint(folder) if context.resume else None)
        if newest is not None:
            start = {"load_from": str(newest), "resume": True, **start}
        return super().build_runner(context, **start)

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


def _loader(given: dict, context: Context) -> dict:
    """A data loader's whole configuration, with what its data set leaves open."""
    given = copy.deepcopy(given)
    return {
        "num_workers": context.num_workers,
        "persistent_workers": given.get("num_workers", context.num_workers) > 0,
        "worker_init_fn": {"type": "luss.start_worker"},
        **given,
        "dataset": context.dataset_config(given["dataset"]),
    }


def _try_validation(runner: Runner, where: str) -> None:
    """Let the model predict one photo, and the metrics look at that."""
    loop = runner.val_loop
    batch = loop.dataloader.collate_fn([loop.dataloader.dataset[0]])
    runner.model.eval()
    try:
        with torch.no_grad():
            outputs = runner.model.val_step(batch)
        loop.evaluator.process(data_samples=outputs, data_batch=batch)
    except LussError:
        raise
    # Whatever a model or a metric of others raises, it would raise after the first epoch, too.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LussError(
            f"{where}.val_dataloader: a photo cannot be validated: {reason}; validation takes a "
            "model that predicts (mode='predict') and metrics that read its predictions"
        ) from error


def _check_sizes(dataset, model: nn.Module) -> None:
    """Try the backbone on the sizes of the views."""
    if getattr(model, "reads_feature_maps", False):
        views = dataset[0]["inputs"]
        views = views if isinstance(views, list | tuple) else [views]
        for size in sorted({tuple(view.shape[-2:]) for view in views}):
            probe(model.backbone, size)
