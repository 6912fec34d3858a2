"""Streaming inference over data sets without a runner."""

from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader, Dataset, Subset

from luss.engine.checkpoint import load, load_weights
from luss.engine.progress import Progress
from luss.engine.workers import iterate, start_worker
from luss.registry import MODELS

__all__ = ["load_model", "stream"]


def load_model(config: dict, checkpoint: Path, device: torch.device) -> BaseModel:
    """Build a model in evaluation mode with all weights of a checkpoint.

    Raises:
        LussError: if the checkpoint is missing or does not fit.
    """
    init_default_scope("luss")
    model = MODELS.build(config)
    load_weights(model, load(checkpoint), checkpoint)
    return model.to(device).eval()


def stream(
    dataset: Dataset, indices: range | list[int], batch_size: int, num_workers: int, what: str
) -> Iterator[list[dict]]:
    """Yield batches of a data set's items as lists, in order; log the progress if several.

    Args:
        dataset: of packed items.
        indices: of the items.
        batch_size: the last batch may be smaller.
        num_workers: data-loading processes.
        what: name of the pass in the log.
    """
    loader = DataLoader(
        Subset(dataset, indices),
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=list,
        shuffle=False,
        worker_init_fn=start_worker,
    )
    progress = Progress(len(indices), what) if len(indices) > 1 else None
    for batch in iterate(loader):
        yield batch
        if progress:
            progress.advance(len(batch))
