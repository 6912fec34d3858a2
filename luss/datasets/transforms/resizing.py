"""Resizing by PIL: images bilinear with antialiasing, masks by the nearest pixel."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray
from PIL import Image

from luss.datasets.transforms.crop_rectangle import draw_crop_rectangle
from luss.errors import LussError
from luss.registry import TRANSFORMS

__all__ = [
    "MAX_RATIO",
    "RandomResizedCropWithMask",
    "ResizeShortSide",
    "resize_image",
    "resize_mask",
    "short_side_size",
    "sides_divisor",
]


MAX_RATIO = 16
"""Largest ratio of long to short side; 3 x 60,000 pixels would become 256 x 5,120,000."""


def resize_image(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize (H, W, 3) uint8 bilinearly, with antialiasing when shrinking."""
    return mmcv.imresize(image, (width, height), interpolation="bilinear", backend="pillow")


def resize_mask(
    mask: NDArray[np.int32],
    width: int,
    height: int,
    box: tuple[float, float, float, float] | None = None,
) -> NDArray[np.int32]:
    """Resize (H, W) int32 ids to the pixel nearest to each new pixel's centre.

    Args:
        mask: the ids.
        width: new width.
        height: new height.
        box: left, top, right and bottom of the part to resize, in pixels; by default everything.
    """
    resized = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST, box)
    return np.array(resized)


def short_side_size(
    width: int,
    height: int,
    size: int,
    max_long: int | None = None,
    multiple_of: int | None = None,
) -> tuple[int, int]:
    """Return width and height after resizing the short side to ``size``, rounding down the other.

    Args:
        width: of the image.
        height: of the image.
        size: new short side.
        max_long: largest long side, by default 16 times ``size``. Longer images are squeezed, so
            that the short side is still ``size``, as crops require.
        multiple_of: round both sides to the nearest multiple of this number, at least the number
            itself and at most ``max_long``; None for no rounding.

    Returns:
        (width, height), each at least 1.
    """
    short, long = min(width, height), max(width, height)
    most = max_long or MAX_RATIO * size
    short, long = size, min(int(size * long / short), most)
    if multiple_of is not None:
        largest = max(most // multiple_of, 1)
        rounded = ((2 * side + multiple_of) // (2 * multiple_of) for side in (short, long))
        short, long = (min(max(count, 1), largest) * multiple_of for count in rounded)
    return (short, long) if width <= height else (long, short)


@TRANSFORMS.register_module()
class ResizeShortSide(BaseTransform):
    """Transform that resizes the short side of the image to ``size``.

    Masks are not resized by default, since predictions are evaluated at the original size.

    Args:
        size: new short side, in pixels.
        max_long: largest long side, in pixels, to which longer images are squeezed; by default 16
            times ``size``, which panoramas do not reach.
        resize_mask: also resize ``gt_seg_map``.
        multiple_of: round both sides to the nearest multiple of this number, such as the patch size
            of a vision transformer, whose tokens then cover the image exactly.
    """

    def __init__(
        self,
        size: int,
        max_long: int | None = None,
        resize_mask: bool = False,
        multiple_of: int | None = None,
    ):
        if size < 1 or (max_long is not None and max_long < size):
            raise LussError(
                f"ResizeShortSide: size is {size} and max_long is {max_long}. Expected size >= 1 "
                "and max_long >= size"
            )
        if multiple_of is not None and not (isinstance(multiple_of, int) and multiple_of >= 1):
            raise LussError(
                f"ResizeShortSide: multiple_of is {multiple_of!r}. Expected a number of pixels, "
                "such as 14 for patches of 14 x 14"
            )
        self.size = size
        self.max_long = max_long
        self.resize_mask = resize_mask
        self.multiple_of = multiple_of

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize ``img`` and set ``img_shape``."""
        height, width = results["img"].shape[:2]
        size = short_side_size(width, height, self.size, self.max_long, self.multiple_of)
        if size != (width, height):
            results["img"] = resize_image(results["img"], *size)
        if self.resize_mask and "gt_seg_map" in results:
            results["gt_seg_map"] = resize_mask(results["gt_seg_map"], *size)
        results["img_shape"] = results["img"].shape[:2]
        return results


@TRANSFORMS.register_module()
class RandomResizedCropWithMask(BaseTransform):
    """Transform that crops a random rectangle of image and mask and resizes it to a square.

    Args:
        size: side of the square, in pixels.
        scale: smallest and largest area of the rectangle, as a fraction of the image's.
        ratio: smallest and largest width / height of the rectangle.
    """

    def __init__(
        self,
        size: int,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ):
        self.size = size
        self.scale = (scale[0], scale[1])
        self.ratio = (ratio[0], ratio[1])

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop and resize ``img`` and, if it exists, ``gt_seg_map``."""
        image = results["img"]
        top, left, height, width = draw_crop_rectangle(
            image.shape[1], image.shape[0], self.scale, self.ratio
        )
        window = np.s_[top : top + height, left : left + width]
        results["img"] = resize_image(image[window], self.size, self.size)
        if "gt_seg_map" in results:
            results["gt_seg_map"] = resize_mask(results["gt_seg_map"][window], self.size, self.size)
        results["img_shape"] = (self.size, self.size)
        return results


_KEEP_SIZES = (
    "FindMask",
    "KeepPhoto",
    "LoadForegroundAsMask",
    "LoadMask",
    "LoadRGBImage",
    "PackInputs",
    "PackViews",
    "RandomFlipWithMask",
)


def sides_divisor(pipeline: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the largest number that divides both sides of all images after a pipeline.

    Args:
        pipeline: configs of transforms.

    Returns:
        The number, 1 for arbitrary sides; None if an unknown transform sets them.
    """
    for step in reversed(pipeline):
        name = str(step.get("type")).rpartition(".")[2]
        if name == "ResizeShortSide":
            return step.get("multiple_of") or 1
        if name in ("CenterCrop", "RandomResizedCropWithMask"):
            size = step.get("crop_size", step.get("size"))
            return math.gcd(*size) if isinstance(size, Sequence) else size
        if name == "MultiCrop" and "views" in step:
            return math.gcd(*(view["size"] for view in step["views"]))
        if name not in _KEEP_SIZES:
            return None
    return 1
