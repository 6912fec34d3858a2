"""Gradient accumulation over several iterations."""

from mmengine.model import BaseAveragedModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

__all__ = [
    "follow_updates",
    "gradients_wait",
    "iterations_per_update",
    "wrapper_of",
    "wrappers_of",
]


def wrappers_of(optim_wrapper: OptimWrapper | OptimWrapperDict) -> list[OptimWrapper]:
    """Return the wrappers of all optimizers, usually one."""
    if isinstance(optim_wrapper, OptimWrapperDict):
        return list(optim_wrapper.values())
    return [optim_wrapper]


def gradients_wait(optim_wrapper: OptimWrapper | OptimWrapperDict) -> bool:
    """Return whether there are accumulated gradients that no update has used yet.

    A checkpoint is valid only right after an update of the weights: between updates
    (``accumulative_counts`` above 1), each rank holds partial gradients.
    """
    return not all(wrapper.should_update() for wrapper in wrappers_of(optim_wrapper))


def iterations_per_update(optim_wrapper: OptimWrapper | OptimWrapperDict) -> int:
    """Return the number of iterations per update; the smallest one of several optimizers.

    Schedules in updates of the weights, such as that of frozen prototypes, are at update
    ``iteration // iterations_per_update(...)``.
    """
    return min(wrapper._accumulative_counts for wrapper in wrappers_of(optim_wrapper))


def wrapper_of(
    parameter: nn.Parameter, optim_wrapper: OptimWrapper | OptimWrapperDict
) -> OptimWrapper | None:
    """Return the wrapper whose optimizer trains a parameter; None if there is none."""
    for wrapper in wrappers_of(optim_wrapper):
        for group in wrapper.optimizer.param_groups:
            if any(trained is parameter for trained in group["params"]):
                return wrapper
    return None


def follow_updates(model: nn.Module, optim_wrapper: OptimWrapper | OptimWrapperDict) -> None:
    """Update momentum copies in a model (BYOL, MoCo, PixPro) once per update of the weights.

    Otherwise they are updated in every forward pass, also between updates. Call this once per
    model.
    """
    counts = iterations_per_update(optim_wrapper)
    for part in model.modules():
        if isinstance(part, BaseAveragedModel):
            part.interval *= counts
