"""Gradients that are summed over several iterations before the weights move."""

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
    """The wrappers of all optimizers, mostly one."""
    if isinstance(optim_wrapper, OptimWrapperDict):
        return list(optim_wrapper.values())
    return [optim_wrapper]


def gradients_wait(optim_wrapper: OptimWrapper | OptimWrapperDict) -> bool:
    """Whether the last iteration has left gradients that no update has used yet.

    Between updates (``accumulative_counts`` above 1) training cannot be entered from outside:
    of several processes each holds a share of the sum.
    """
    return not all(wrapper.should_update() for wrapper in wrappers_of(optim_wrapper))


def iterations_per_update(optim_wrapper: OptimWrapper | OptimWrapperDict) -> int:
    """Return the iterations whose gradients are summed; the fewest, of several optimizers.

    A schedule that is stated in updates of the weights, such as frozen prototypes, is at update
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
    """Let momentum copies in a model (BYOL, MoCo, PixPro) move once per update of the weights.

    They are updated in every forward pass, which between updates meets the same weights again.
    Call it once for a model.
    """
    counts = iterations_per_update(optim_wrapper)
    for part in model.modules():
        if isinstance(part, BaseAveragedModel):
            part.interval *= counts
