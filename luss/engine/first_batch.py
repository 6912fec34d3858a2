"""One batch of training before the first stage starts: the loss, its gradients, one update."""

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
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from luss.errors import LussError

__all__ = ["try_first_batch"]

_FEW = 4
"""Photos of the batch on a CPU, where a complete one takes long."""

_SHOWN = 5
_BEFORE_LOSS = ("before_run", "before_train", "before_train_epoch", "before_train_iter")
_LIBRARIES = ("luss.", "mmengine.", "torch.")
_OF_DDP = ("find_unused_parameters", "model_wrapper_cfg")


def try_first_batch(runner: Runner, where: str, pending: Sequence[str] = ()) -> None:
    """Train on one batch, so that mistakes in a loss appear before the first stage starts.

    The model has its initial weights, and is of no use afterwards. On a GPU the batch is complete,
    so that its memory is tried, too; on a CPU it has at most four photos. Of the hooks only those
    run that prepare what the loss reads: MMEngine's ``RuntimeInfoHook``, and those whose class has
    ``prepares_loss = True``.

    Args:
        runner: with a model, its optimizers and the loop of training, all built.
        where: its place in the config, for messages.
        pending: stages that have not run yet and whose output the training set may need.

    Raises:
        LussError: if the batch cannot be loaded or trained; if several processes train and a
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
                f"{where}: its loss is not tried, since its photos cannot be loaded before "
                f"{', '.join(pending)} ran: {_reason(error)}",
                "current",
                level=logging.WARNING,
            )
            return
        if isinstance(error, LussError):
            raise
        raise LussError(
            f"{where}.train_dataloader: a batch cannot be loaded: {_reason(error)}"
        ) from error
    reached = _watch_gradients(_bare(runner.model))
    try:
        _prepare(runner, batch)
        runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper)
    # Models and losses are code: whatever they raise would stop the training, too.
    except Exception as error:
        unsure = _unknown_parts(runner)
        if not unsure and isinstance(error, LussError):
            raise
        message = f"{where}: a batch of {count} photos cannot be trained: {_reason(error)}"
        if isinstance(error, torch.cuda.OutOfMemoryError):
            message += f". Lower {where}.train_dataloader.batch_size"
        if not unsure:
            raise LussError(message) from error
        print_log(
            f"{message}. If {', '.join(unsure)} prepares what the loss reads, this is no mistake; "
            "a hook with prepares_loss = True is called before this trial",
            "current",
            level=logging.WARNING,
        )
        return
    _require_gradients(runner, where, reached)


def _watch_gradients(model: nn.Module) -> dict[str, bool]:
    """Return a dict of trained parameters, whose values become true when gradients come."""
    reached = {}

    def note(name: str):
        def reach(_) -> None:
            reached[name] = True

        return reach

    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            reached[name] = False
            parameter.register_post_accumulate_grad_hook(note(name))
    return reached


def _prepare(runner: Runner, batch: Any) -> None:
    for hook in runner.hooks:
        if isinstance(hook, RuntimeInfoHook) or getattr(hook, "prepares_loss", False):
            hook.before_run(runner)
            hook.before_train(runner)
            hook.before_train_epoch(runner)
            hook.before_train_iter(runner, 0, batch)


def _unknown_parts(runner: Runner) -> list[str]:
    """Return names of what other libraries and projects may do before a loss, and was not done."""
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
    shown = ", ".join(missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    message = (
        f"{where}: no loss reaches {len(missing)} of {len(reached)} parameters: {shown}{more}. "
        "Let a loss depend on them, freeze them (requires_grad=False), or, for several processes, "
        f"set {where}.find_unused_parameters=True"
    )
    if get_world_size() > 1 and not any(runner.cfg.get(key) for key in _OF_DDP):
        raise LussError(message)
    print_log(message, "current", level=logging.WARNING)


def _bare(model: nn.Module) -> nn.Module:
    return model.module if is_model_wrapper(model) else model


def _reason(error: Exception) -> str:
    """The error in a line, with the innermost place outside of PyTorch and MMEngine."""
    text = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    libraries = tuple(str(Path(library.__file__).parent) for library in (torch, mmengine))
    own = [frame for frame in frames if not frame.filename.startswith(libraries)]
    place = (own or frames)[-1]
    return f"{type(error).__name__}: {text} ({place.filename}, line {place.lineno})"
