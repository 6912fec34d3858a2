"""Pixel-adaptive mask refinement: moves a map's edges to the photo's edges.

Araslanov and Roth, Single-Stage Semantic Segmentation from Image Labels, CVPR 2020, section 4: a
pixel's value is repeatedly replaced by its neighbours' mean, weighted by similarity of colour.
Written from the paper's description; counts and constants are those of the authors' code.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from luss.errors import LussError

__all__ = ["refine_by_pamr"]

_AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
_SMALLEST = 1e-8
"""Added to a deviation, as in the authors' code."""


def refine_by_pamr(
    image: NDArray[np.uint8],
    foreground: NDArray,
    *,
    iterations: int = 10,
    dilations: Sequence[int] = (1, 2, 4, 8, 12, 24),
    width: float = 0.1,
) -> NDArray[np.float32]:
    """Move a map's edges to the photo's edges.

    The weight of a neighbour decreases with its difference in each channel, in standard deviations
    of the neighbourhood, which includes the pixel once per dilation. The weights of all neighbours
    of a pixel sum to one.

    Args:
        image: (H, W, 3) uint8 RGB.
        foreground: (H, W) map.
        iterations: number of averaging steps.
        dilations: distances of the eight neighbours, in pixels.
        width: of the kernel, in standard deviations; smaller is sharper.

    Returns:
        (H, W) float32 within the map's range.

    Raises:
        LussError: if map and photo differ in size, or a setting is not positive.
    """
    if foreground.shape != image.shape[:2]:
        raise LussError(f"a map of {foreground.shape} does not fit a photo of {image.shape[:2]}")
    if iterations < 1 or width <= 0 or not dilations or min(dilations) < 1:
        raise LussError(
            f"refine_by_pamr: iterations {iterations}, width {width} and dilations "
            f"{list(dilations)} must be positive"
        )
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[:, None].float() / 255
    weights = _weights(pixels, dilations, width)
    values = torch.from_numpy(np.array(foreground, np.float32))[None, None]
    lowest, highest = values.min(), values.max()
    for _ in range(iterations):
        values = (weights * _neighbours(values, dilations)).sum(dim=1, keepdim=True)
    # Rounding errors in the weights could exceed the map's range.
    return values.clamp(lowest, highest)[0, 0].numpy()


def _weights(channels: Tensor, dilations: Sequence[int], width: float) -> Tensor:
    """Compute the weights (1, K, H, W) of K neighbours from channels (3, 1, H, W) in [0, 1]."""
    around = _neighbours(channels, dilations)
    centres = channels.expand(-1, len(dilations), -1, -1)
    deviation = torch.cat([centres, around], dim=1).std(dim=1, keepdim=True)
    apart = (around - channels).abs() / (width * deviation + _SMALLEST)
    return torch.softmax(-apart.mean(dim=0, keepdim=True), dim=1)


def _neighbours(maps: Tensor, dilations: Sequence[int]) -> Tensor:
    """Return K neighbours (N, K, H, W) of each pixel of maps (N, 1, H, W); replicate the edges."""
    height, width = maps.shape[2:]
    found = []
    for step in dilations:
        padded = F.pad(maps, (step,) * 4, mode="replicate")
        for y, x in _AROUND:
            top, left = step * (1 + y), step * (1 + x)
            found.append(padded[:, :, top : top + height, left : left + width])
    return torch.cat(found, dim=1)
