"""Dry-run a training config: build everything once, then discard it."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from luss.build_errors import require_known
from luss.config_checks import require_count, require_keys
from luss.configuration import PlainConfig
from luss.engine.bare_model import bare_model
from luss.engine.first_batch import try_first_batch
from luss.engine.pretrained import check_pretrained
from luss.errors import LussError
from luss.files import temporary_folder
from luss.models.backbones import probe
from luss.registry import HOOKS, OPTIMIZERS, RUNNERS, VISBACKENDS

__all__ = ["check_training"]

_LIBRARIES = {
    "AimVisBackend": "aim",
    "ClearMLVisBackend": "clearml",
    "DVCLiveVisBackend": "dvclive",
    "MLflowVisBackend": "mlflow",
    "NeptuneVisBackend": "neptune",
    "TensorboardVisBackend": "tensorboard",
    "WandbVisBackend": "wandb",
}
"""Visualizer back end of MMEngine -> the library that it imports."""

_VALIDATION = ("val_cfg", "val_dataloader", "val_evaluator")


def check_training(
    config: Mapping[str, Any],
    where: str,
    check_model: Callable[[nn.Module], None] | None = None,
    try_batch: bool = False,
    pending: Sequence[str] = (),
) -> None:
    """Build all components of a training, and try one photo or one batch.

    Args:
        config: of a training runner.
        where: its place in the config, for messages.
        check_model: called with the model; its weights are random.
        try_batch: whether to train on one batch, see :func:`try_first_batch`.
        pending: see :func:`try_first_batch`.

    Raises:
        LussError: if a setting is missing or invalid, an epoch has no iteration, the order of
            samples cannot be resumed, or the model does not accept the views.
    """
    _check_settings(config, where)
    with temporary_folder() as folder:
        elsewhere = {"work_dir": folder, "experiment_name": folder}
        # Without back ends, whose threads would continue to write.
        visualizer = {**config.get("visualizer", {"type": "Visualizer"}), "vis_backends": None}
        runner = RUNNERS.build(PlainConfig({**config, **elsewhere, "visualizer": visualizer}))
        model = bare_model(runner.model)
        if try_batch:
            runner._init_model_weights()
        else:
            check_pretrained(model)
        if check_model is not None:
            check_model(model)
        try:
            loader = runner.train_loop.dataloader
        except LussError as error:
            raise LussError(f"{where}: {error}") from error
        _check_order(loader, "max_epochs" in config["train_cfg"], f"{where}.train_dataloader")
        _check_sizes(loader.dataset, model)
        _build_lazy_parts(runner, where)
        if try_batch:
            try_first_batch(runner, where, pending)


def _check_settings(config: Mapping[str, Any], where: str) -> None:
    """Check settings that MMEngine checks late, or without naming the setting."""
    ends = [key for key in ("max_epochs", "max_iters") if key in config["train_cfg"]]
    if not ends:
        raise LussError(f"{where}.train_cfg has neither 'max_epochs' nor 'max_iters'; set one")
    for key in ends:
        require_count(config["train_cfg"][key], f"{where}.train_cfg.{key}")
    given = [key for key in _VALIDATION if key in config]
    if given and len(given) < len(_VALIDATION):
        raise LussError(
            f"{where} has {', '.join(given)}, but validation needs {', '.join(_VALIDATION)}; set "
            "all of them (val_cfg may be dict())"
        )
    if scale := config.get("auto_scale_lr"):
        require_keys(scale, ("base_batch_size",), f"{where}.auto_scale_lr", ("enable",))
        require_count(scale["base_batch_size"], f"{where}.auto_scale_lr.base_batch_size")
    loader = config["train_dataloader"]
    require_count(loader.get("batch_size", 1), f"{where}.train_dataloader.batch_size")
    wrapper = config["optim_wrapper"]
    # A constructor of several optimizers reads its own settings instead.
    if "optimizer" in wrapper or "constructor" not in wrapper:
        optimizer = wrapper.get("optimizer", {})
        require_known(optimizer, OPTIMIZERS, f"{where}.optim_wrapper.optimizer")
    for name, hook in config.get("default_hooks", {}).items():
        if hook is not None:
            require_known(hook, HOOKS, f"default_hooks.{name}")
    for backend in config.get("visualizer", {}).get("vis_backends") or ():
        require_known(backend, VISBACKENDS, "visualizer.vis_backends")
        _require_library(backend["type"], "visualizer.vis_backends")


def _require_library(backend: str | type, where: str) -> None:
    """Check that a back end's library can be imported; MMEngine imports it at the first scalar."""
    name = backend if isinstance(backend, str) else backend.__name__
    library = _LIBRARIES.get(name.rpartition(".")[2])
    if library is None:
        return
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise LussError(
            f"{where}: {name} needs {library}, which cannot be imported ({error}); run "
            f"'pip install {library}', or remove the back end from the config"
        ) from error


def _check_order(loader, by_epoch: bool, where: str) -> None:
    """Check that an epoch ends, and can be resumed in its middle."""
    if not getattr(loader.sampler, "yields_draws", False):
        raise LussError(
            f"{where} uses {type(loader.sampler).__name__}, which cannot be resumed in the middle "
            "of an epoch; set sampler instead of batch_sampler"
        )
    if by_epoch and getattr(loader.sampler, "endless", False):
        raise LussError(
            f"{where}.sampler is endless, so epochs never end; set train_cfg.max_iters, or use "
            "DefaultSampler"
        )


def _check_sizes(dataset, model: nn.Module) -> None:
    """Run the backbone on each size of the views."""
    if getattr(model, "reads_feature_maps", False):
        # Pipelines may load stored features instead of images.
        views = dataset[0].get("inputs", [])
        views = views if isinstance(views, list | tuple) else [views]
        for size in sorted({tuple(view.shape[-2:]) for view in views}):
            backbone = model.backbone
            assert isinstance(backbone, nn.Module)
            probe(backbone, size)


def _build_lazy_parts(runner: Runner, where: str) -> None:
    """Build the parts that MMEngine builds at their first use."""
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    if runner.param_schedulers is not None:
        _check_schedulers(runner, f"{where}.param_scheduler")
        runner.build_param_scheduler(runner.param_schedulers)
    if runner.val_loop is not None:
        _try_validation(runner, where)
    for hook in runner.hooks:
        if check_fit := getattr(hook, "check_fit", None):
            check_fit(runner)


def _check_schedulers(runner: Runner, where: str) -> None:
    """Check that schedulers by optimizer name each optimizer."""
    given, wrapper = runner.param_schedulers, runner.optim_wrapper
    if not isinstance(given, Mapping) or "type" in given:
        return
    names = list(wrapper.keys()) if isinstance(wrapper, OptimWrapperDict) else []
    if sorted(given) != sorted(names):
        has = f"the optimizers are {', '.join(names)}" if names else "there is one optimizer"
        raise LussError(
            f"{where} has schedulers for {', '.join(given)}, but {has}; give schedulers for each "
            "optimizer by name, or one list for all"
        )


def _try_validation(runner: Runner, where: str) -> None:
    """Run the model and the metrics on one photo."""
    loop = runner.val_loop
    batch = loop.dataloader.collate_fn([loop.dataloader.dataset[0]])
    runner.model.eval()
    try:
        with torch.no_grad():
            outputs = runner.model.val_step(batch)
        loop.evaluator.process(data_samples=outputs, data_batch=batch)
    except LussError:
        raise
    # A third-party model or metric would raise this error after the first epoch, too.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LussError(
            f"{where}.val_dataloader: validation of a photo fails: {reason}; validation needs a "
            "model with mode='predict', and metrics that read its predictions"
        ) from error
