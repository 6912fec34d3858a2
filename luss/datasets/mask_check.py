"""Masks must fit their images and their classes; found out before the long work starts."""

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray

from luss.datasets.image_io import image_size
from luss.datasets.mask_codec import IGNORE_ID, MaskEncoding, read_item_mask
from luss.errors import LussError

__all__ = ["check_mask", "check_masks"]

_SHOWN = 10
_EXPECTED = {
    "rgb": f"{IGNORE_ID} (id = R + 256 G)",
    "index": "255 (indices of a palette, or one channel of ids); data.classes=[...] names others",
}


def check_mask(
    mask: NDArray[np.integer],
    image_shape: tuple[int, int],
    num_classes: int,
    path: str | os.PathLike,
    encoding: MaskEncoding = "rgb",
) -> None:
    """Refuse a mask of another size than its image, or with ids that no class has.

    Args:
        mask: (H, W) integers.
        image_shape: (height, width) of the image.
        num_classes: C; 0..C and 1000 are the ids allowed.
        path: of the mask, for the message.
        encoding: of its file, for the message.

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
            f"the mask {path} holds the ids {shown}; expected 0 to {num_classes} and "
            f"{_EXPECTED[encoding]}; does it belong to a data set of other classes?"
        )


def check_masks(dataset: BaseDataset, advance: Callable[[int], None] | None = None) -> None:
    """Check every mask of a data set: encoding, size of its image, ids, and that any is measured.

    Args:
        dataset: with masks; items without one are passed over.
        advance: called with 1 for each item that is done.

    Raises:
        LussError: naming the first ten masks that do not fit, and how many there are; or if all
            pixels of all masks are ignored.
    """
    items = map(dataset.get_data_info, range(len(dataset)))
    complaints: list[str] = []
    count = evaluated = masks = 0
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        # Each photo that is opened sets and resets this filter, which threads would mix up.
        warnings.simplefilter("ignore")
        for verdict in pool.map(_check_item, items):
            if isinstance(verdict, str):
                count += 1
                if count <= _SHOWN:
                    complaints.append(verdict)
            elif verdict is not None:
                masks += 1
                evaluated += verdict
            if advance is not None:
                advance(1)
    if count:
        more = f"\n  and {count - _SHOWN} more" if count > _SHOWN else ""
        counted = "1 mask does" if count == 1 else f"{count} masks do"
        raise LussError(f"{counted} not fit:\n  " + "\n  ".join(complaints) + more)
    if masks and not evaluated:
        raise LussError(
            f"all pixels of all {masks} masks of {dataset.data_root} that were checked are "
            f"{IGNORE_ID}, which is ignored, so that there is nothing to measure; is {IGNORE_ID} a "
            "class, or are these the masks of a split whose truth is not public?"
        )


def _check_item(item: dict) -> bool | str | None:
    """Whether any pixel is evaluated, or what is wrong; None if there is no mask."""
    if "seg_map_path" not in item:
        return None
    path = item["seg_map_path"]
    try:
        mask = read_item_mask(item)
        size, encoding = image_size(item["img_path"]), item.get("mask_encoding", "rgb")
        check_mask(mask, size, item["num_mask_classes"], path, encoding)
    except LussError as error:
        return str(error)
    return bool((mask != IGNORE_ID).any())
