"""Several maps of foreground joined by their ranks, which makes scales comparable."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from luss.errors import LussError

__all__ = ["mean_of_ranks", "product_of_ranks", "ranks"]


def ranks(values: NDArray) -> NDArray[np.float32]:
    """The share of pixels that a pixel's value reaches or exceeds, ties in the middle.

    Args:
        values: (H, W) numbers without NaN.

    Returns:
        (H, W) float32 in (0, 1), of mean 1/2.
    """
    return ((rankdata(values).reshape(values.shape) - 0.5) / values.size).astype(np.float32)


def mean_of_ranks(maps: Sequence[NDArray]) -> NDArray[np.float32]:
    """The mean of the maps' ranks, (H, W) float32 in (0, 1)."""
    return np.mean([ranks(values) for values in _of_one_size(maps)], axis=0, dtype=np.float32)


def product_of_ranks(maps: Sequence[NDArray]) -> NDArray[np.float32]:
    """The geometric mean of the maps' ranks, (H, W) float32 in (0, 1)."""
    logs = [np.log(ranks(values)) for values in _of_one_size(maps)]
    return np.exp(np.mean(logs, axis=0, dtype=np.float32))


def _of_one_size(maps: Sequence[NDArray]) -> Sequence[NDArray]:
    shapes = {values.shape for values in maps}
    if len(shapes) != 1:
        raise LussError(f"maps of foreground must be of one size, found {sorted(shapes)}")
    return maps
