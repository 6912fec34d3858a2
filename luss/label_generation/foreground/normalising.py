"""Scaling of foreground maps, within a photo or over all training photos."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from luss.errors import LussError

__all__ = ["LEVELS", "range_to_one", "ranks", "scale_levels"]

LEVELS = 1 << 16
"""Number of levels in which maps are counted before they are scaled."""


def ranks(values: NDArray) -> NDArray[np.float32]:
    """Compute the share of pixels with a value below each pixel's; ties count half.

    Args:
        values: (H, W) numbers without NaN.

    Returns:
        (H, W) float32 in (0, 1), of mean 1/2.
    """
    return ((rankdata(values).reshape(values.shape) - 0.5) / values.size).astype(np.float32)


def range_to_one(values: NDArray) -> NDArray[np.float32]:
    """Scale a map (H, W) so that the lowest value is 0 and the highest 1; a constant map to 0."""
    lowest, highest = float(values.min()), float(values.max())
    width = highest - lowest
    return ((values - lowest) / (width if width > 0 else 1)).astype(np.float32)


def scale_levels(counts: NDArray[np.integer], by: str) -> NDArray[np.float32]:
    """Compute the scaled value of each level when all maps of a set are scaled together.

    Args:
        counts: (K,) number of pixels of each level, ascending, over all maps.
        by: ``'ranks'`` or ``'range'``.

    Returns:
        (K,) in [0, 1], ascending.

    Raises:
        LussError: if nothing was counted.
    """
    total = int(counts.sum())
    if not total:
        raise LussError("scaling needs at least one foreground map, found none")
    if by == "ranks":
        return ((np.cumsum(counts) - counts / 2) / total).astype(np.float32)
    lowest, highest = np.flatnonzero(counts)[[0, -1]]
    levels = np.arange(len(counts), dtype=np.float64)
    return np.clip((levels - lowest) / max(1, highest - lowest), 0, 1).astype(np.float32)
