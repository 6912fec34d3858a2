"""Common functions of the colour cues: CIE Lab and the frame of a photo."""

import cv2
import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError

__all__ = ["NOT_SEEN", "frame_of", "has_one_colour", "scaled_to_one", "to_lab"]

NOT_SEEN = 1.0
"""An imperceptible distance in Lab."""


def to_lab(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert an image to CIE Lab, in which distances are roughly perceptual.

    Args:
        image: (H, W, 3) uint8 RGB.

    Returns:
        (H, W, 3) float32: L in 0..100, a and b about -127..127.

    Raises:
        LussError: if the image has another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise LussError(
            f"a photo is (H, W, 3) uint8 RGB, found {image.shape} of {image.dtype}; load it with "
            "LoadRGBImage"
        )
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab, np.float32)


def frame_of(height: int, width: int, part: float) -> NDArray[np.bool_]:
    """Return a mask of the pixels near the photo's border.

    Args:
        height: of the photo in pixels.
        width: of the photo in pixels.
        part: thickness as a fraction of the short side; at least one pixel.

    Returns:
        (H, W) bool; all True if the photo is too small to have an inside.
    """
    thickness = max(1, round(part * min(height, width)))
    frame = np.ones((height, width), bool)
    frame[thickness : height - thickness, thickness : width - thickness] = False
    return frame


def has_one_colour(lab: NDArray[np.float32]) -> bool:
    """Return whether all pixels of an image (H, W, 3) in Lab look the same."""
    return bool(np.ptp(lab, axis=(0, 1)).max() < NOT_SEEN)


def scaled_to_one(values: NDArray) -> NDArray[np.float32]:
    """Divide non-negative values by the largest, unless all are zero."""
    largest = values.max()
    return (values / largest if largest > 0 else values).astype(np.float32)
