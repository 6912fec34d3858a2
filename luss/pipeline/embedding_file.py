"""Embeddings of all images in one file, each rank its rows."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from torch import Tensor
from torch.utils.data import Dataset

from luss.errors import LussError
from luss.files import UNFINISHED
from luss.pipeline.inference import own_share, stream
from luss.ranks import fail_together

__all__ = ["write_embeddings"]


@torch.no_grad()
def write_embeddings(
    path: Path,
    embed: Callable[[list[dict]], Tensor],
    dataset: Dataset,
    batch_size: int,
    num_workers: int,
) -> None:
    """Write (N, L) float32 embeddings, whole or not at all. Called by all ranks together.

    Args:
        path: of the ``.npy`` file.
        embed: from packed items to (B, L) embeddings.
        dataset: of N packed items.
        batch_size: items at a time.
        num_workers: data-loading processes.

    Raises:
        LussError: if an embedding is not finite.
        OSError: if the disk has no room for the file, before anything is computed.
    """
    unfinished = path.with_name(f".{path.name}{UNFINISHED}")
    with fail_together():
        if is_main_process():
            # The width is the feature map's, known once an image went through.
            length = embed([dataset[0]]).shape[1]
            _reserve(unfinished, (len(dataset), length))
    rows = np.lib.format.open_memmap(unfinished, "r+")
    share = own_share(len(dataset))
    start = share.start
    with fail_together():
        for batch in stream(dataset, share, batch_size, num_workers, "image embeddings"):
            values = embed(batch).cpu().numpy()
            if not np.isfinite(values).all():
                first = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
                raise LussError(
                    f"the embedding of {batch[first]['data_samples'].image_id} holds NaN or "
                    "infinity; the model that was trained is of no use, lower its learning rate"
                )
            rows[start : start + len(batch)] = values
            start += len(batch)
    rows.flush()
    barrier()
    if is_main_process():
        unfinished.replace(path)


def _reserve(path: Path, shape: tuple[int, int]) -> None:
    """Make a float32 array file; writing into its map on a full disk would kill the process."""
    np.lib.format.open_memmap(path, "w+", np.float32, shape).flush()
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        path.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error
