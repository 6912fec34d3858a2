"""The centre prior: objects are near the middle of a photo."""

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError

__all__ = ["centre_prior"]


def centre_prior(height: int, width: int, sigma: float = 0.25) -> NDArray[np.float32]:
    """Compute a Gaussian around the photo's centre.

    Args:
        height: of the photo in pixels.
        width: of the photo in pixels.
        sigma: standard deviation as a fraction of each side.

    Returns:
        (H, W) float32 in (0, 1], 1 at the centre.

    Raises:
        LussError: if ``sigma`` is not positive.
    """
    if not sigma > 0:
        raise LussError(f"centre_prior: sigma is {sigma}, expected a positive number")
    y, x = ((np.arange(side) + 0.5) / side - 0.5 for side in (height, width))
    squares = np.square(y)[:, None] + np.square(x)
    return np.exp(-squares / (2 * sigma**2)).astype(np.float32)
