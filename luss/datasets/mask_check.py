"""Checks that masks fit their images and classes."""

import os
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray

from luss.datasets.image_io import ImageHeader, image_header
from luss.datasets.mask_codec import IGNORE_ID, MaskEncoding, ignored_value, read_item_mask
from luss.datasets.mask_tally import MaskTally
from luss.errors import LussError, shorten

__all__ = ["check_mask", "check_masks", "mask_doubts", "read_checked"]

_SHOWN = 10
_EXPECTED = {
    "rgb": f"{IGNORE_ID} (id = R + 256 G)",
    "index": "255 (palette indices, or one channel of ids); data.classes=[...] sets other classes",
}


def check_mask(
    mask: NDArray[np.integer],
    image_shape: tuple[int, int],
    num_classes: int,
    path: str | os.PathLike,
    encoding: MaskEncoding = "rgb",
) -> None:
    """Check the size and the ids of a mask.

    Args:
        mask: (H, W) integers.
        image_shape: (height, width) of the image.
        num_classes: C; the ids 0..C and 1000 are allowed.
        path: of the mask, for the message.
        encoding: of its file, for the message.

    Raises:
        LussError: if the mask does not fit.
    """
    if mask.shape != tuple(image_shape):
        found, expected = (f"{shape[1]} x {shape[0]}" for shape in (mask.shape, image_shape))
        raise LussError(
            f"the mask {path} is {found} pixels (width x height), but its image is {expected}. "
            "Masks must have the size of the image file, without EXIF rotation"
        )
    if not mask.size or (mask.max() <= num_classes and mask.min() >= 0):
        return
    wrong = np.unique(mask[(mask > num_classes) & (mask != IGNORE_ID) | (mask < 0)])
    if wrong.size:
        raise LussError(
            f"the mask {path} contains the ids {shorten(wrong)}; expected 0 to {num_classes} and "
            f"{_EXPECTED[encoding]}. Check that it belongs to this data set"
        )


def check_masks(dataset: BaseDataset, advance: Callable[[int], None] | None = None) -> MaskTally:
    """Check encoding, size and ids of every mask of a data set.

    Args:
        dataset: with masks; items without one are skipped.
        advance: called with 1 after each item.

    Returns:
        Counts over the masks, see `mask_doubts`.

    Raises:
        LussError: with the first ten masks that do not fit and their number; or if all pixels of
            all masks are ignored.
    """
    items = map(dataset.get_data_info, range(len(dataset)))
    complaints: list[str] = []
    count = 0
    tally: MaskTally | None = None
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        # Opening a photo changes this filter, which is not thread-safe.
        warnings.simplefilter("ignore")
        for found in pool.map(_tally_item, items):
            if isinstance(found, str):
                count += 1
                if count <= _SHOWN:
                    complaints.append(found)
            elif found is not None:
                if tally is None:
                    tally = MaskTally(found.num_classes)
                tally += found
            if advance is not None:
                advance(1)
    if count:
        more = f"\n  and {count - _SHOWN} more" if count > _SHOWN else ""
        counted = "1 mask does" if count == 1 else f"{count} masks do"
        raise LussError(f"{counted} not fit:\n  " + "\n  ".join(complaints) + more)
    if tally is None:
        return MaskTally(0)
    if not tally.pixels.any():
        ignored = ignored_value(_first_with_mask(dataset).get("mask_encoding", "rgb"))
        raise LussError(
            f"all pixels of the {tally.with_mask} masks of {dataset.data_root} are {ignored}, that "
            f"is, ignored, so nothing can be measured. If {ignored} is a class, write its id; "
            "otherwise choose a split with public masks"
        )
    return tally


def read_checked(item: Mapping[str, Any]) -> tuple[NDArray[np.int32], ImageHeader]:
    """Read the mask of a data set's item and the header of its photo, and check the mask.

    Args:
        item: with ``seg_map_path``, ``img_path`` and ``num_mask_classes``.

    Returns:
        (H, W) ids 0..C, with 1000 where ignored; and the header.

    Raises:
        LussError: if the mask or the photo's header cannot be read, or the mask does not fit.
    """
    mask = read_item_mask(item)
    header, encoding = image_header(item["img_path"]), item.get("mask_encoding", "rgb")
    check_mask(mask, header.shape, item["num_mask_classes"], item["seg_map_path"], encoding)
    return mask, header


def mask_doubts(dataset: BaseDataset, tally: MaskTally) -> list[str]:
    """Return possible mistakes in readable masks, each with numbers and a remedy.

    Args:
        dataset: data set of the masks.
        tally: counts over the masks.
    """
    if not tally.with_mask:
        return []
    classes = (getattr(dataset, "metainfo", None) or {}).get("classes") or ()
    names = classes[1:] if len(classes) == tally.num_classes + 1 else None
    first = _first_with_mask(dataset)
    shift = first.get("mask_id_shift", 0) + 1
    return tally.doubts(
        names,
        first.get("mask_encoding", "rgb"),
        f"set data.mask_id_shift={shift} (--cfg-options data.mask_id_shift={shift})",
    )


def _first_with_mask(dataset: BaseDataset) -> dict[str, Any]:
    items = map(dataset.get_data_info, range(len(dataset)))
    return next(item for item in items if "seg_map_path" in item)


def _tally_item(item: dict) -> MaskTally | str | None:
    """Return the counts of a mask, or an error message; None if there is no mask."""
    if "seg_map_path" not in item:
        return None
    try:
        mask, header = read_checked(item)
    except LussError as error:
        return str(error)
    tally = MaskTally(item["num_mask_classes"])
    tally.add_mask(mask, item.get("category", 0), item["seg_map_path"])
    if header.turned and not item.get("upright", False):
        tally.turned[item["img_path"]] += 1
    return tally
