"""Batch norms that MMEngine's ``sync_bn`` must not change."""

import sys

from mmengine.model import convert_sync_batchnorm
from torch import nn

__all__ = ["shuffles_batches", "synchronise_objectives"]

_SHUFFLE = "batch_shuffle_ddp"
"""Function that mmselfsup's MoCo, DenseCL and derived algorithms call in each step."""


def shuffles_batches(model: nn.Module) -> bool:
    """Return whether an algorithm shuffles its keys among processes, as MoCo does.

    A process's batch norm then sees keys and queries of different photos, so that its statistics
    do not reveal positive pairs (He et al., 2020, section 3.3). Synchronised batch norm does.
    """
    modules = (sys.modules.get(kind.__module__) for kind in type(model).__mro__)
    return any(hasattr(module, _SHUFFLE) for module in modules)


def synchronise_objectives(model: nn.Module, kind: str) -> None:
    """Synchronise only the batch norms of the objectives that luss adds to an algorithm.

    Args:
        model: with or without ``objectives``.
        kind: ``torch`` or ``mmcv``, see ``mmengine.model.convert_sync_batchnorm``.
    """
    objectives = getattr(model, "objectives", {})
    for name, objective in objectives.items():
        objectives[name] = convert_sync_batchnorm(objective, kind)
