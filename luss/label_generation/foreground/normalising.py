"""One scale for maps of foreground, within a photo or over all training photos."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from luss.errors import LussError

__all__ = ["LEVELS", "range_to_one", "ranks", "scale_of_set"]

LEVELS = 1 << 16
"""Steps in which maps are counted before they are scaled."""


def ranks(values: NDArray) -> NDArray[np.float32]:
    """The share of pixels that a pixel's value reaches or exceeds, ties in the middle.

    Args:
        values: (H, W) numbers without NaN.

    Returns:
        (H, W) float32 in (0, 1), of mean 1/2.
    """
    return ((rankdata(values).reshape(values.shape) - 0.5) / values.size).astype(np.float32)


def range_to_one(values: NDArray) -> NDArray[np.float32]:
    """Scale a map (H, W) so that the lowest value is 0 and the highest 1; a flat one is 0."""
    lowest, highest = float(values.min()), float(values.max())
    width = highest - lowest
    return ((values - lowest) / (width if width > 0 else 1)).astype(np.float32)


def scale_of_set(counts: NDArray[np.integer], by: str) -> NDArray[np.float32]:
    """What each level becomes when the maps of a whole set are scaled together.

    Args:
        counts: (K,) pixels of each level, ascending, of all maps.
        by: ``'ranks'`` or ``'range'``.

    Returns:
        (K,) in [0, 1], ascending.

    Raises:
        LussError: if nothing was counted.
    """
    total = int(counts.sum())
    if not total:
        raise LussError("there are no maps of foreground to scale")
    if by == "ranks":
        return ((np.cumsum(counts) - counts / 2) / total).astype(np.float32)
    present = np.flatnonzero(counts)
    levels = np.arange(len(counts), dtype=np.float64)
    width = max(1, present[-1] - present[0])
    return np.clip((levels - present[0]) / width, 0, 1).astype(np.float32)
