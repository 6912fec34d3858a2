"""Embeddings of all images in one file, written by all ranks."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from torch import Tensor

from luss.errors import LussError
from luss.files import UNFINISHED
from luss.ranks import fail_together, own_share

__all__ = ["write_embeddings"]


@torch.no_grad()
def write_embeddings(
    path: Path,
    embed: Callable[[dict[str, list]], Tensor],
    first: dict[str, list],
    batches: Iterable[dict[str, list]],
    count: int,
) -> None:
    """Write (N, L) float32 embeddings atomically; all ranks must call it.

    If images have P vectors each, the file is (N, P, L).

    Args:
        path: of the ``.npy`` file.
        embed: maps a batch, ``inputs`` and ``data_samples`` of B images, to embeddings (B, L) or
            (B, P, L).
        first: any batch, to determine L and P.
        batches: this rank's images, in order.
        count: N, over all ranks.

    Raises:
        LussError: if an embedding is not finite, or the number of vectors differs between images.
        OSError: if there is not enough disk space, before anything is computed.
    """
    unfinished = path.with_name(f".{path.name}{UNFINISHED}")
    with fail_together():
        if is_main_process():
            _reserve(unfinished, (count, *embed(first).shape[1:]))
    rows = np.lib.format.open_memmap(unfinished, "r+")
    start = own_share(count).start
    with fail_together():
        for batch in batches:
            values = embed(batch).cpu().numpy()
            samples = batch["data_samples"]
            if values.shape[1:] != rows.shape[1:]:
                raise LussError(
                    f"the embedding of {samples[0].image_id} has shape {values.shape[1:]}, the "
                    f"first one {rows.shape[1:]}; end the pipeline of 'embedding' with CenterCrop "
                    "so that all images have one size"
                )
            finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
            if not finite.all():
                worst = int(np.flatnonzero(~finite)[0])
                raise LussError(
                    f"the embedding of {samples[worst].image_id} contains NaN or infinity, so the "
                    "training of the model diverged; lower its learning rate"
                )
            rows[start : start + len(samples)] = values
            start += len(samples)
    rows.flush()
    barrier()
    if is_main_process():
        unfinished.replace(path)


def _reserve(path: Path, shape: tuple[int, ...]) -> None:
    """Create and allocate a float32 array file, since a full disk kills writers of a memory map."""
    np.lib.format.open_memmap(path, "w+", np.float32, shape).flush()
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        path.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error
