"""Data loaders of stages that look at every photo once."""

from luss.pipeline.context import Context

__all__ = ["share_loader"]


def share_loader(
    context: Context, dataset: dict, batch_size: int = 1, most: int | None = None
) -> dict:
    """Return the config of a data loader of which each process loads a share.

    Args:
        context: of the run.
        dataset: config of the data set, as far as the stage states it.
        batch_size: photos at a time.
        most: of how many photos; None for all.
    """
    sampler = {"type": "ShareSampler"}
    return {
        "batch_size": batch_size,
        "num_workers": context.num_workers,
        "sampler": sampler if most is None else {**sampler, "most": most},
        "collate_fn": {"type": "pseudo_collate"},
        "worker_init_fn": {"type": "luss.start_worker"},
        "dataset": context.dataset_config(dataset),
    }
