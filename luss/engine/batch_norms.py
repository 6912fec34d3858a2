"""Batch norms that MMEngine's ``sync_bn`` must leave alone."""

import sys

from mmengine.model import convert_sync_batchnorm
from torch import nn

__all__ = ["shuffles_batches", "synchronise_objectives"]

_SHUFFLE = "batch_shuffle_ddp"
"""What mmselfsup's MoCo and DenseCL, and those derived from them, call in each step."""


def shuffles_batches(model: nn.Module) -> bool:
    """Return whether an algorithm shuffles its keys among processes, as MoCo does.

    Batch norm of a process then sees keys of other photos than queries, so that its statistics
    give no positive pair away (He et al., 2020, section 3.3). Synchronising it defeats that.
    """
    modules = (sys.modules.get(kind.__module__) for kind in type(model).__mro__)
    return any(hasattr(module, _SHUFFLE) for module in modules)


def synchronise_objectives(model: nn.Module, kind: str) -> None:
    """Synchronise batch norms of the objectives that luss adds to an algorithm, and no others.

    Args:
        model: with ``objectives``, or without any.
        kind: ``torch`` or ``mmcv``, see ``mmengine.model.convert_sync_batchnorm``.
    """
    for name, objective in getattr(model, "objectives", {}).items():
        model.objectives[name] = convert_sync_batchnorm(objective, kind)
