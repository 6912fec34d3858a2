"""Gradients that are summed over several iterations before the weights move."""

from mmengine.optim import OptimWrapper, OptimWrapperDict

__all__ = ["gradients_wait", "wrappers_of"]


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
