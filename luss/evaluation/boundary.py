"""Boundaries of a mask's regions, for b-mIoU and its size groups (paper, section 3.2.2).

The boundary of class v is v's region minus its erosion by a 3x3 square repeated d times, which is
one erosion by a (2d+1) x (2d+1) square. A pixel survives exactly if its window lies in the image
and contains one id, so one pass handles all classes.
"""

import math

import numpy as np

from luss.errors import LussError

__all__ = ["boundary_width", "dilate"]


def boundary_width(height: int, width: int, fraction: float = 0.03) -> int:
    """Return d, the boundary's width in pixels: a fraction of the image diagonal, at least 1.

    Args:
        height: image height in pixels.
        width: image width in pixels.
        fraction: part of the diagonal; 0.03 in the paper.
    """
    return max(1, round(fraction * math.hypot(height, width)))


def dilate(mixed: np.ndarray, width: int, border: int) -> np.ndarray:
    """Return the bitwise or over all 2x2 blocks in each pixel's (2d+1) x (2d+1) window.

    A window of at least 3x3 pixels contains one id exactly if all its 2x2 blocks do. Each bit
    stands for a mask, so several masks can share one call.

    Args:
        mixed: (H-1, W-1) uint8; in each 2x2 block, the bits of masks with several ids are set.
        width: d in pixels.
        border: bits to set where the window leaves the image.

    Returns:
        (H, W) uint8.
    """
    if width < 1:
        raise LussError(f"the boundary's width is {width}. Expected at least 1 pixel")
    height, length = mixed.shape[0] + 1, mixed.shape[1] + 1
    joined = np.full((height, length), border, dtype=np.uint8)
    if height > 2 * width and length > 2 * width:
        inner = _join_runs(_join_runs(mixed, 2 * width, axis=0), 2 * width, axis=1)
        joined[width:-width, width:-width] = inner
    return joined


def _join_runs(bits: np.ndarray, run: int, axis: int) -> np.ndarray:
    """Return the bitwise or of ``run`` neighbours along an axis, doubling the run's length."""
    length = 1
    while length < run:
        step = min(length, run - length)
        bits = bits[:-step] | bits[step:] if axis == 0 else bits[:, :-step] | bits[:, step:]
        length += step
    return bits
