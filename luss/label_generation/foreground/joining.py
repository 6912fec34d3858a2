"""Products of foreground maps, and means of their ranks, which are on a common scale."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.label_generation.foreground.normalising import ranks

__all__ = ["mean_of_ranks", "product_of_maps"]


def product_of_maps(maps: Sequence[NDArray]) -> NDArray[np.float32]:
    """Compute the product of maps (H, W) in [0, 1], float32."""
    return np.prod(_of_one_size(maps), axis=0, dtype=np.float32)


def mean_of_ranks(
    maps: Sequence[NDArray], weights: Sequence[float] | None = None
) -> NDArray[np.float32]:
    """Compute the mean of the maps' ranks, (H, W) float32 in (0, 1).

    Args:
        maps: (H, W) each.
        weights: one positive number for each map; None for equal ones.
    """
    ordered = [ranks(values) for values in _of_one_size(maps)]
    return np.average(ordered, axis=0, weights=weights).astype(np.float32)


def _of_one_size(maps: Sequence[NDArray]) -> Sequence[NDArray]:
    shapes = {values.shape for values in maps}
    if len(shapes) != 1:
        raise LussError(f"foreground maps must have one size, found {sorted(shapes)}")
    return maps
