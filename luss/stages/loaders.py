"""Data loaders of stages."""

import copy

from luss.config_checks import require_count, require_keys
from luss.pipeline.context import Context

__all__ = ["complete_loader"]

_OPTIONAL = (
    "batch_sampler",
    "batch_size",
    "collate_fn",
    "drop_last",
    "num_workers",
    "persistent_workers",
    "pin_memory",
    "prefetch_factor",
    "sampler",
    "timeout",
    "worker_init_fn",
)
"""Settings of MMEngine's data loaders beside the data set."""


def complete_loader(given: dict, context: Context, where: str) -> dict:
    """Return a data loader's complete configuration, with that of its data set.

    Args:
        given: as the config states it.
        context: of the run.
        where: its place in the config, for messages.

    Raises:
        LussError: if a setting is unknown, or the batch size no number.
    """
    require_keys(given, ("dataset",), where, optional=_OPTIONAL)
    require_count(given.get("batch_size", 1), f"{where}.batch_size")
    given = copy.deepcopy(given)
    return {
        "num_workers": context.num_workers,
        "worker_init_fn": {"type": "luss.start_worker"},
        **given,
        "dataset": context.dataset_config(given["dataset"]),
    }
