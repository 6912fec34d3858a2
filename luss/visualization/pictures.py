"""Reading of photos and masks for pages, and writing of picture files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from luss.datasets.image_io import open_image
from luss.datasets.mask_codec import read_item_mask
from luss.errors import LussError

__all__ = ["Picture", "PictureFolder", "read_fitting_mask", "read_thumbnail"]

_QUALITY = 85
_LARGEST_ENLARGEMENT = 3.0


def read_thumbnail(
    item: Mapping[str, Any], longest: int
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Read the photo of a data set's item and resize it to a longer side of ``longest`` pixels.

    Small photos are enlarged at most three times. EXIF orientation is applied as in training.

    Returns:
        (h, w, 3) uint8 RGB, and the photo's own (height, width).

    Raises:
        LussError: if it cannot be read.
    """
    image = open_image(item["img_path"], item.get("upright", False))
    scale = min(longest / max(image.size), _LARGEST_ENLARGEMENT)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    photo = np.array(image.resize(size, Image.Resampling.LANCZOS))
    return photo, (image.height, image.width)


def read_fitting_mask(item: Mapping[str, Any], size: tuple[int, int]) -> NDArray[np.int32]:
    """Read the mask of a photo of (height, width) ``size``.

    Args:
        item: with ``seg_map_path`` and its encoding, see `read_item_mask`.
        size: of the photo.

    Raises:
        LussError: if it cannot be read or has another size.
    """
    ids = read_item_mask(item)
    if ids.shape != size:
        raise LussError(
            f"the mask {item['seg_map_path']} is {ids.shape[0]} by {ids.shape[1]}, its photo "
            f"{size[0]} by {size[1]}"
        )
    return ids


class Picture(NamedTuple):
    """A picture file of a page.

    Attributes:
        src: path relative to the page.
        alt: alternative text.
        width: in pixels.
        height: in pixels.
    """

    src: str
    alt: str
    width: int
    height: int


class PictureFolder:
    """Folder of numbered JPEG files in a report.

    Args:
        report: folder of the page.
        name: folder of the pictures in it.
    """

    def __init__(self, report: Path, name: str):
        self._folder = report / name
        self._folder.mkdir()
        self._count = 0

    def add(self, picture: NDArray[np.uint8], text: str) -> Picture:
        """Write a picture (H, W, 3) uint8 RGB with an alternative text."""
        self._count += 1
        path = self._folder / f"{self._count:05d}.jpg"
        # Thin coloured lines need full chroma resolution.
        Image.fromarray(picture).save(path, quality=_QUALITY, subsampling=0, optimize=True)
        height, width = picture.shape[:2]
        return Picture(f"{self._folder.name}/{path.name}", text, width, height)
