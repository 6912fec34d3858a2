"""Batches of images of different sizes, and their precision."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from luss.structures.stored_features import sizes_of_maps

__all__ = ["at_least_float32", "step_by_size"]


def at_least_float32(values: Tensor) -> Tensor:
    """Convert half precision to float32; keep float64."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def step_by_size(step: Callable[[Any], Sequence], batch: Any) -> Sequence:
    """Run a model's test step once for each image size in a batch.

    Args:
        step: maps a batch to one output per image, such as ``BaseModel.test_step``.
        batch: lists of equal length by name; ``inputs`` are images (3, H, W) of any sizes, without
            which stored features of ``data_samples`` have sizes. A batch of another form is passed
            to the step unchanged.

    Returns:
        The outputs in the batch's order.
    """
    sizes = _sizes(batch)
    rows_of: dict[tuple, list[int]] = {}
    for row, size in enumerate(sizes):
        rows_of.setdefault(size, []).append(row)
    if len(rows_of) <= 1:
        return step(batch)
    outputs: list = [None] * len(sizes)
    for rows in rows_of.values():
        part = {key: [values[row] for row in rows] for key, values in batch.items()}
        for row, output in zip(rows, step(part), strict=True):
            outputs[row] = output
    return outputs


def _sizes(batch: Any) -> list[tuple]:
    """Return the size of each image or of its features; empty for a batch of another form."""
    if not isinstance(batch, Mapping):
        return []
    if "inputs" not in batch and isinstance(samples := batch.get("data_samples"), list | tuple):
        # Photos of different sizes may have as many cells.
        return [(sample.get("img_shape"), sizes_of_maps(sample)) for sample in samples]
    images = batch.get("inputs")
    if not isinstance(images, list | tuple) or not all(isinstance(i, Tensor) for i in images):
        return []
    return [tuple(image.shape) for image in images]
