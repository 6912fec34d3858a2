"""Pictures of masks and attention, as pure functions on arrays."""

from collections.abc import Collection

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["OPACITY", "attention_picture", "outline", "overlay", "resize_ids", "spotlight"]

OPACITY = 0.6
"""Opacity of a category's colour over the grey photo."""

_DIMMED = 0.75
_HATCH_PERIOD = 8
_HATCH_WHITE, _HATCH_GREY = 250, 205
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_DARK = 110
_AROUND = 0.5
_HALO = 0.6


def resize_ids(ids: NDArray[np.integer], size: tuple[int, int]) -> NDArray[np.uint16]:
    """Resize a mask (H, W) of ids below 65536 to ``size`` (h, w), nearest."""
    resized = cv2.resize(
        ids.astype(np.uint16), (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return np.asarray(resized, np.uint16)


def overlay(
    photo: NDArray[np.uint8],
    ids: NDArray[np.integer],
    colours: NDArray[np.uint8],
    ignore: int | None = None,
    striped: Collection[int] = (),
) -> NDArray[np.uint8]:
    """Colour the categories of a mask over the grey photo.

    'Other' is dimmed grey, so every colour belongs to a category.

    Args:
        photo: (H, W, 3) uint8 RGB.
        ids: (H, W), 0 is 'other'.
        colours: (65536, 3) uint8 RGB of the ids.
        ignore: id that is hatched in white.
        striped: ids that are drawn with stripes.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    grey = photo.astype(np.float32) @ _LUMA
    row, column = np.ogrid[: ids.shape[0], : ids.shape[1]]
    stripe = (row + column) % _HATCH_PERIOD < _HATCH_PERIOD // 2
    picture = OPACITY * colours[ids] + (1 - OPACITY) * grey[..., None]
    dimmed = (ids == 0) | (np.isin(ids, list(striped)) & stripe)
    picture[dimmed] = _DIMMED * grey[dimmed, None]
    if ignore is not None:
        hatch = np.where(stripe, _HATCH_WHITE, _HATCH_GREY)
        picture[ids == ignore] = hatch[ids == ignore, None]
    return np.rint(picture).astype(np.uint8)


def outline(
    photo: NDArray[np.uint8], ids: NDArray[np.integer], colours: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Draw the outlines of the regions of a mask on the photo, in their colours.

    A line covers one pixel on both sides of a boundary, in the colour of the larger id, with a halo
    of one pixel, light around dark colours and dark around light ones. The border of the picture is
    not a boundary.

    Args:
        photo: (H, W, 3) uint8 RGB.
        ids: (H, W).
        colours: (65536, 3) uint8 RGB of the ids.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    ids = ids.astype(np.uint16)
    picture = photo.copy()
    for side in (5, 3):
        square = np.ones((side, side), np.uint8)
        largest = cv2.dilate(ids, square)
        boundary = largest != cv2.erode(ids, square)
        line = colours[largest[boundary]]
        if side == 5:
            halo = np.where(line @ _LUMA < _DARK, 255, 0)[:, None]
            line = np.rint(_HALO * halo + (1 - _HALO) * photo[boundary]).astype(np.uint8)
        picture[boundary] = line
    return picture


def spotlight(
    photo: NDArray[np.uint8], region: NDArray[np.bool_], colour: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Outline a region and darken everything else.

    Args:
        photo: (H, W, 3) uint8 RGB.
        region: (H, W).
        colour: RGB of the outline, 0..255.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    darkened = np.where(region[..., None], photo, np.rint(_AROUND * photo)).astype(np.uint8)
    colours = np.array([(0, 0, 0), colour], np.uint8)
    return outline(darkened, region.astype(np.uint8), colours)


def attention_picture(
    attention: NDArray[np.uint8], threshold: float | None = None
) -> NDArray[np.uint8]:
    """Draw attention in the colours of viridis, with a white line at the threshold.

    Args:
        attention: (H, W), 255 is an attention of 1.
        threshold: in [0, 1].

    Returns:
        (H, W, 3) uint8 RGB.
    """
    picture = np.ascontiguousarray(cv2.applyColorMap(attention, cv2.COLORMAP_VIRIDIS)[..., ::-1])
    if threshold is not None:
        foreground = (attention >= 255 * threshold).astype(np.uint8)
        inner = cv2.erode(foreground, np.ones((3, 3), np.uint8))
        picture[foreground != inner] = 255
    return np.asarray(picture, np.uint8)
