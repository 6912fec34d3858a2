"""Batches of images of different sizes, and their precision."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["at_least_float32", "step_by_size"]


def at_least_float32(values: Tensor) -> Tensor:
    """Convert half precision to float32; keep float64."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def step_by_size(step: Callable[[Any], Sequence], batch: Any) -> Sequence:
    """Run a model's test step once for each image size in a batch.

    Args:
        step: maps a batch to one output per image, such as ``BaseModel.test_step``.
        batch: lists of equal length by name; ``inputs`` are images (3, H, W) of any sizes. A batch
            of another form is passed to the step unchanged.

    Returns:
        The outputs in the batch's order.
    """
    images = batch.get("inputs") if isinstance(batch, Mapping) else None
    if not isinstance(images, list | tuple) or not all(isinstance(i, Tensor) for i in images):
        return step(batch)
    rows_of: dict[tuple[int, ...], list[int]] = {}
    for row, image in enumerate(images):
        rows_of.setdefault(tuple(image.shape), []).append(row)
    if len(rows_of) == 1:
        return step(batch)
    outputs: list = [None] * len(images)
    for rows in rows_of.values():
        part = {key: [values[row] for row in rows] for key, values in batch.items()}
        for row, output in zip(rows, step(part), strict=True):
            outputs[row] = output
    return outputs
