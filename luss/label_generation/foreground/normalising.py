"""Scaling of foreground maps within a photo."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

__all__ = ["range_to_one", "ranks"]


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
