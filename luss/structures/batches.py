"""Batches of whole images, which differ in size."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

__all__ = ["step_by_size"]


def step_by_size(step: Callable[[Any], Sequence], batch: Any) -> Sequence:
    """Run a model's test step on those images of a batch together that have one size.

    Args:
        step: from a batch to an output for each of its images, such as ``BaseModel.test_step``.
        batch: lists of one length by name; ``inputs`` are images (3, H, W), which may differ in
            size. A batch of any other form goes through the step as it is.

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
