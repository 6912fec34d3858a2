"""Dry run of one training batch: loss, gradients and update."""

import logging
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook, RuntimeInfoHook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

from luss.engine.bare_model import bare_model
from luss.errors import LussError, shorten

__all__ = ["try_first_batch"]

_FEW = 4
"""Largest batch on a CPU, where complete batches are slow."""

_BEFORE_LOSS = ("before_run", "before_train", "before_train_epoch", "before_train_iter")
_LIBRARIES = ("luss.", "mmengine.", "torch.")
_OF_DDP = ("find_unused_parameters", "model_wrapper_cfg")


def try_first_batch(runner: Runner, where: str, pending: Sequence[str] = ()) -> None:
    """Train on one batch, to find errors in a loss before the first stage starts.

    The model must have its initial weights, and must be discarded afterwards. On a GPU the batch
    is complete, which also tests the memory; on a CPU it has at most four photos. Only hooks that
    prepare the loss run: MMEngine's ``RuntimeInfoHook``, and hooks with ``prepares_loss = True``.

    Args:
        runner: with model, optimizers and training loop built.
        where: its place in the config, for messages.
        pending: earlier stages that have not run yet, and whose outputs the data may need.

    Raises:
        LussError: if loading or training of the batch fails; with several processes, if a
            parameter has no gradient, unless the config allows that.
    """
    loader = runner.train_loop.dataloader
    runner.model.train()
    on_gpu = any(parameter.is_cuda for parameter in runner.model.parameters())
    most = loader.batch_size if on_gpu else min(loader.batch_size, _FEW)
    count = min(most, len(loader.dataset))
    try:
        batch = loader.collate_fn([loader.dataset[index] for index in range(count)])
    except Exception as error:
        if pending:
            print_log(
                f"{where}: the loss cannot be checked, since loading photos fails before "
                f"{', '.join(pending)} has run: {_reason(error)}",
                "current",
                level=logging.WARNING,
            )
            return
        if isinstance(error, LussError):
            raise
        raise LussError(
            f"{where}.train_dataloader: loading a batch fails: {_reason(error)}"
        ) from error
    reached = _watch_gradients(bare_model(runner.model))
    try:
        _prepare(runner, batch)
        runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper)
    # Models and losses may raise any exception.
    except Exception as error:
        unsure = _unknown_parts(runner)
        if not unsure and isinstance(error, LussError):
            raise
        message = f"{where}: training on a batch of {count} photos fails: {_reason(error)}"
        if isinstance(error, torch.cuda.OutOfMemoryError):
            message += f". Lower {where}.train_dataloader.batch_size"
        if not unsure:
            raise LussError(message) from error
        print_log(
            f"{message}. This may be correct if {', '.join(unsure)} prepares the loss; set "
            "prepares_loss = True in a hook to call it before this check",
            "current",
            level=logging.WARNING,
        )
        return
    _require_gradients(runner, where, reached)


def _watch_gradients(model: nn.Module) -> dict[str, bool]:
    """Return trained parameter -> False; the value becomes True when it gets a gradient."""
    reached = {}

    def mark(name: str):
        def reach(_) -> None:
            reached[name] = True

        return reach

    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            reached[name] = False
            parameter.register_post_accumulate_grad_hook(mark(name))
    return reached


def _prepare(runner: Runner, batch: Any) -> None:
    for hook in runner.hooks:
        if isinstance(hook, RuntimeInfoHook) or getattr(hook, "prepares_loss", False):
            hook.before_run(runner)
            hook.before_train(runner)
            hook.before_train_epoch(runner)
            hook.before_train_iter(runner, 0, batch)


def _unknown_parts(runner: Runner) -> list[str]:
    """Return third-party hooks and loops that may prepare a loss, and were not called."""
    hooks = [
        type(hook)
        for hook in runner.hooks
        if not getattr(hook, "prepares_loss", False)
        and any(getattr(type(hook), name) is not getattr(Hook, name) for name in _BEFORE_LOSS)
    ]
    kinds = [*hooks, type(runner.train_loop)]
    return [kind.__name__ for kind in kinds if not kind.__module__.startswith(_LIBRARIES)]


def _require_gradients(runner: Runner, where: str, reached: dict[str, bool]) -> None:
    missing = [name for name, has_gradient in reached.items() if not has_gradient]
    if not missing:
        return
    message = (
        f"{where}: {len(missing)} of {len(reached)} parameters get no gradient: "
        f"{shorten(missing, 5)}. "
        "Make a loss depend on them, freeze them (requires_grad=False), or, for several processes, "
        f"set {where}.find_unused_parameters=True"
    )
    if get_world_size() > 1 and not any(runner.cfg.get(key) for key in _OF_DDP):
        raise LussError(message)
    print_log(message, "current", level=logging.WARNING)


def _reason(error: Exception) -> str:
    """Return the error in one line, with the innermost place outside of PyTorch and MMEngine."""
    text = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    files = (library.__file__ for library in (torch, mmengine))
    libraries = tuple(str(Path(file).parent) for file in files if file is not None)
    own = [frame for frame in frames if not frame.filename.startswith(libraries)]
    place = (own or frames)[-1]
    return f"{type(error).__name__}: {text} ({place.filename}, line {place.lineno})"
