"""Pixel-adaptive mask refinement: moves the edges of maps to the photo's edges.

Araslanov and Roth, Single-Stage Semantic Segmentation from Image Labels, CVPR 2020, section 4: a
pixel's value is repeatedly replaced by its neighbours' mean, weighted by similarity of colour.
Written from the paper's description; counts and constants are those of the authors' code.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from luss.errors import LussError
from luss.registry import MODELS

__all__ = ["PAMR", "adaptive_means"]

_AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
_WINDOW = len(_AROUND) + 1
_SMALLEST = 1e-8
"""Added to a deviation, as in the authors' code."""
_MAPS_AT_A_TIME = 8


@MODELS.register_module()
class PAMR(nn.Module):
    """Refiner by pixel-adaptive mask refinement; it has no weights.

    Args:
        iterations: number of averaging steps.
        dilations: distances of the eight neighbours, in pixels.
        width: of the kernel, in standard deviations; smaller is sharper.

    Raises:
        LussError: if a setting is not positive.
    """

    def __init__(
        self,
        iterations: int = 10,
        dilations: Sequence[int] = (1, 2, 4, 8, 12, 24),
        width: float = 0.1,
    ) -> None:
        super().__init__()
        if iterations < 1 or width <= 0 or not dilations or min(dilations) < 1:
            raise LussError(
                f"PAMR: iterations {iterations}, width {width} and dilations {list(dilations)} "
                "must be positive"
            )
        self.iterations = iterations
        self.dilations = tuple(dilations)
        self.width = width

    def forward(self, photo: Tensor, maps: Tensor) -> Tensor:
        """Return refined maps.

        Args:
            photo: (3, H, W) uint8 RGB.
            maps: (K, H, W) floating point, any number of maps.

        Returns:
            (K, H, W) float32, each map within its own range. The sum of all maps at a pixel is
            kept if it is the same at every pixel.

        Raises:
            LussError: if maps and photo differ in size.
        """
        return adaptive_means(photo, maps, self.iterations, self.dilations, self.width)


def adaptive_means(
    photo: Tensor, maps: Tensor, iterations: int, dilations: Sequence[int], width: float
) -> Tensor:
    """Average maps over pixels of similar colour.

    The weight of a neighbour decreases with its difference in each channel, in standard deviations
    of the neighbourhood, which includes the pixel once per dilation. The weights of all neighbours
    of a pixel sum to one. Memory: 32 bytes per pixel and dilation for the weights, and a few maps.

    Args: see :class:`PAMR` and its ``forward``.

    Returns:
        (K, H, W) float32.

    Raises:
        LussError: if maps and photo differ in size.
    """
    if maps.shape[1:] != photo.shape[1:]:
        raise LussError(
            f"maps of {tuple(maps.shape[1:])} do not fit a photo of {tuple(photo.shape[1:])}"
        )
    weights = _weights(photo.float() / 255, dilations, width)
    refined = torch.empty(maps.shape, device=maps.device)
    # Few maps at a time stay in the processor's cache, and bound the memory.
    for chunk, result in zip(
        maps.split(_MAPS_AT_A_TIME), refined.split(_MAPS_AT_A_TIME), strict=True
    ):
        values = chunk.float()
        lowest, highest = (
            side(values, dim=(1, 2), keepdim=True) for side in (torch.amin, torch.amax)
        )
        for _ in range(iterations):
            means = torch.zeros_like(values)
            for weight, neighbour in zip(weights, _neighbours(values, dilations), strict=True):
                means.addcmul_(weight, neighbour)
            values = means
        # Rounding errors in the weights could exceed the map's range.
        torch.clamp(values, lowest, highest, out=result)
    return refined


def _weights(channels: Tensor, dilations: Sequence[int], width: float) -> Tensor:
    """Compute the weights (N, H, W) of N neighbours from channels (3, H, W) in [0, 1]."""
    sums, squares = torch.zeros_like(channels), torch.zeros_like(channels)
    for neighbour in _neighbours(channels, dilations):
        apart = neighbour - channels
        sums += apart
        squares.addcmul_(apart, apart)
    count = _WINDOW * len(dilations)
    variance = (squares - sums.square() / count).clamp_(min=0) / (count - 1)
    scale = width * variance.sqrt_() + _SMALLEST
    weights = channels.new_empty(len(_AROUND) * len(dilations), *channels.shape[1:])
    for weight, neighbour in zip(weights, _neighbours(channels, dilations), strict=True):
        torch.mean((neighbour - channels).abs_().div_(scale), dim=0, out=weight)
    # Softmax in place: for large photos, the weights are by far the largest tensor.
    weights.neg_().sub_(weights.amax(dim=0)).exp_()
    return weights.div_(weights.sum(dim=0))


def _neighbours(maps: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """Yield the neighbours (K, H, W) of maps (K, H, W), eight per dilation; replicate the edges."""
    height, width = maps.shape[1:]
    border = max(dilations)
    padded = F.pad(maps[None], (border,) * 4, mode="replicate")[0]
    for step in dilations:
        for y, x in _AROUND:
            top, left = border + step * y, border + step * x
            yield padded[:, top : top + height, left : left + width]
