"""Random rectangles of RandomResizedCrop, with the random numbers of the released code."""

import math
import random

__all__ = ["draw_crop_rectangle"]

_TRIES = 10


def draw_crop_rectangle(
    width: int,
    height: int,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> tuple[int, int, int, int]:
    """Draw a rectangle of random area and aspect ratio inside an image.

    Area, then aspect ratio (log-uniform), then top, then left are drawn from Python's ``random``.
    After ten rectangles that do not fit, the largest centred one with an aspect ratio in ``ratio``
    is returned.

    Args:
        width: of the image, in pixels, at least 1.
        height: of the image, in pixels, at least 1.
        scale: smallest and largest area of the rectangle, as a fraction of the image's.
        ratio: smallest and largest width / height.

    Returns:
        (top, left, height, width) of the rectangle in pixels.
    """
    log_ratio = (math.log(ratio[0]), math.log(ratio[1]))
    for _ in range(_TRIES):
        area = random.uniform(*scale) * width * height
        aspect = math.exp(random.uniform(*log_ratio))
        crop_width = round(math.sqrt(area * aspect))
        crop_height = round(math.sqrt(area / aspect))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            top = random.randint(0, height - crop_height)
            left = random.randint(0, width - crop_width)
            return top, left, crop_height, crop_width

    crop_width, crop_height = width, height
    if width / height < ratio[0]:
        crop_height = max(1, min(height, round(width / ratio[0])))
    elif width / height > ratio[1]:
        crop_width = max(1, min(width, round(height * ratio[1])))
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    return top, left, crop_height, crop_width
