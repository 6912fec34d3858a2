"""Photos are read strictly: what PIL cannot decode whole is an error that names the file."""

import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from luss.errors import LussError

__all__ = ["IMAGE_SUFFIXES", "UnreadableImageError", "open_image", "read_image", "split_suffix"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
"""Lower-case suffixes of the files that count as photos."""


class UnreadableImageError(LussError):
    """An image file is missing, truncated or of no format that PIL knows."""


def open_image(path: str | os.PathLike) -> Image.Image:
    """Decode a photo whole, as RGB, in the file's own orientation (no EXIF rotation).

    OpenCV would return a full array for a truncated JPEG and rotate by EXIF, which masks do not
    follow.

    Args:
        path: a file of any format and mode that PIL reads; grey, CMYK, palette and transparent
            ones are converted, 16 bit grey is reduced to 8.

    Returns:
        The loaded PIL image of mode RGB.

    Raises:
        UnreadableImageError: if the file is missing, truncated or unreadable.
    """
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            return image.convert("RGB")
    # Damaged files raise OSError, SyntaxError, ValueError, struct.error, DecompressionBombError ...
    except Exception as error:
        raise UnreadableImageError(
            f"cannot read the image {path}: {error}; replace or remove the file"
        ) from error


def read_image(path: str | os.PathLike) -> NDArray[np.uint8]:
    """Decode a photo whole, as ``open_image``.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    return np.array(open_image(path))


def split_suffix(name: str) -> tuple[str, str]:
    """Split 'folder/photo.JPEG' into 'folder/photo' and '.jpeg'."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, f".{suffix.lower()}") if dot else (name, "")
