"""Running trained models over data sets, shared out over processes, streaming."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size, is_main_process
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.utils import ProgressBar
from torch.utils.data import DataLoader, Dataset, Subset

from luss.engine.checkpoint import init_weights_from
from luss.registry import MODELS

__all__ = ["load_model", "own_share", "stream", "summed_over_ranks"]

T = TypeVar("T")


def load_model(config: dict, checkpoint: Path, device: torch.device) -> BaseModel:
    """Build a model, fill all of it from a checkpoint and set it to evaluation.

    Raises:
        LussError: if the checkpoint is missing or does not fit.
    """
    init_default_scope("luss")
    model = MODELS.build(config)
    init_weights_from(model, checkpoint, [name for name, _ in _filled(model)])
    return model.to(device).eval()


def _filled(model: BaseModel) -> Iterator[tuple[str, torch.nn.Module]]:
    """Parts of the model that have any state."""
    for name, part in model.named_children():
        if part.state_dict():
            yield name, part


def own_share(count: int) -> range:
    """The contiguous share of ``count`` items that this process works on."""
    rank, world = get_rank(), get_world_size()
    return range(rank * count // world, (rank + 1) * count // world)


def stream(
    dataset: Dataset, indices: range | list[int], batch_size: int, num_workers: int, what: str
) -> Iterator[list[dict]]:
    """Yield batches of a data set's items as lists, in order, with a progress bar.

    Args:
        dataset: gives packed items.
        indices: which of them.
        batch_size: the last batch may be smaller.
        num_workers: data-loading processes.
        what: named beside the bar.
    """
    loader = DataLoader(
        Subset(dataset, indices),
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=list,
        shuffle=False,
    )
    print_log(f"{what}: {len(indices)} images", "current")
    bar = ProgressBar(len(indices)) if is_main_process() and len(indices) else None
    for batch in loader:
        yield batch
        if bar:
            bar.update(len(batch))
    if bar:
        bar.file.write("\n")


def summed_over_ranks(part: T) -> T:
    """Sum over all ranks of what adds up with ``+=``, such as counts; None counts as nothing."""
    total, *others = [part for part in all_gather_object(part) if part is not None]
    for other in others:
        total += other
    return total
