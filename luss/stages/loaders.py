"""Data loaders of stages."""

import copy

from luss.pipeline.context import Context

__all__ = ["complete_loader"]


def complete_loader(given: dict, context: Context) -> dict:
    """Return a data loader's complete configuration, with that of its data set.

    Args:
        given: as the config states it.
        context: of the run.
    """
    given = copy.deepcopy(given)
    return {
        "num_workers": context.num_workers,
        "worker_init_fn": {"type": "luss.start_worker"},
        **given,
        "dataset": context.dataset_config(given["dataset"]),
    }
