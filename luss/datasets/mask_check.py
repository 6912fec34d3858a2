"""Masks must fit their images and their classes; found out before the long work starts."""

import os

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray
from PIL import Image

from luss.datasets.mask_codec import IGNORE_ID, read_mask
from luss.errors import LussError

__all__ = ["check_mask", "check_masks"]

_SHOWN = 10


def check_mask(
    mask: NDArray[np.integer],
    image_shape: tuple[int, int],
    num_classes: int,
    path: str | os.PathLike,
) -> None:
    """Refuse a mask of another size than its image, or with ids that no class has.

    Args:
        mask: (H, W) integers.
        image_shape: (height, width) of the image.
        num_classes: C; 0..C and 1000 are the ids allowed.
        path: of the mask, for the message.

    Raises:
        LussError: if the mask does not fit.
    """
    if mask.shape != tuple(image_shape):
        found, expected = (f"{shape[1]} x {shape[0]}" for shape in (mask.shape, image_shape))
        raise LussError(
            f"the mask {path} is {found} pixels (width x height), but its image is {expected}; "
            "masks must have the size of the image file, EXIF rotation left aside"
        )
    if not mask.size or (mask.max() <= num_classes and mask.min() >= 0):
        return
    wrong = np.unique(mask[(mask > num_classes) & (mask != IGNORE_ID) | (mask < 0)])
    if wrong.size:
        shown = ", ".join(map(str, wrong[:_SHOWN])) + (", ..." if wrong.size > _SHOWN else "")
        raise LussError(
            f"the mask {path} holds the ids {shown}; expected 0 to {num_classes} and {IGNORE_ID} "
            "(id = R + 256 G); does it belong to a data set of other classes?"
        )


def check_masks(dataset: BaseDataset) -> None:
    """Check every mask of a data set against its image's size and the number of classes.

    Args:
        dataset: an ``ImageNetS``; items without a mask are passed over.

    Raises:
        LussError: naming the first ten masks that do not fit, and how many there are.
    """
    complaints: list[str] = []
    count = 0
    for index in range(len(dataset)):
        item = dataset.get_data_info(index)
        if "seg_map_path" not in item:
            continue
        try:
            _check_item(item)
        except LussError as error:
            count += 1
            if count <= _SHOWN:
                complaints.append(str(error))
    if count:
        raise LussError(f"{count} masks do not fit:\n  " + "\n  ".join(complaints))


def _check_item(item: dict) -> None:
    mask = read_mask(item["seg_map_path"])
    try:
        with Image.open(item["img_path"]) as image:
            width, height = image.size
    except Exception as error:
        raise LussError(f"cannot read the image {item['img_path']}: {error}") from error
    check_mask(mask, (height, width), item["num_mask_classes"], item["seg_map_path"])
