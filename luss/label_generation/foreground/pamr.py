"""Refinement of a foreground map by PAMR."""

import numpy as np
import torch
from numpy.typing import NDArray

from luss.models.refiners import PAMR

__all__ = ["refine_by_pamr"]


def refine_by_pamr(
    image: NDArray[np.uint8], foreground: NDArray, **settings
) -> NDArray[np.float32]:
    """Move a map's edges to the photo's edges.

    Args:
        image: (H, W, 3) uint8 RGB.
        foreground: (H, W) map.
        **settings: of :class:`luss.models.refiners.PAMR`.

    Returns:
        (H, W) float32 within the map's range.

    Raises:
        LussError: if map and photo differ in size, or a setting is not positive.
    """
    photo = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    maps = torch.from_numpy(np.array(foreground, np.float32))[None]
    return PAMR(**settings)(photo, maps)[0].numpy()
