"""Transforms that load a photo and its mask, with strict checks."""

from typing import Any

from mmcv.transforms import BaseTransform

from luss.datasets.image_io import read_image
from luss.datasets.mask_check import check_mask
from luss.datasets.mask_codec import read_item_mask
from luss.errors import LussError
from luss.registry import TRANSFORMS

__all__ = ["KeepPhoto", "LoadMask", "LoadRGBImage"]


@TRANSFORMS.register_module()
class LoadRGBImage(BaseTransform):
    """Transform that loads ``img_path`` as ``img``, (H, W, 3) uint8 RGB, by PIL.

    The EXIF orientation is applied if the item's ``upright`` is true, which is set for photos
    without masks. Adds ``img_shape`` and ``ori_shape``, both (H, W).

    Raises:
        UnreadableImageError: if the file is missing, truncated or unreadable.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the image to ``results``."""
        results["img"] = read_image(results["img_path"], results.get("upright", False))
        results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
        return results


@TRANSFORMS.register_module()
class KeepPhoto(BaseTransform):
    """Transform that keeps the photo at its own size, as ``photo``, for refined predictions.

    Place it before the image is resized. ``PackInputs`` puts the photo into the data sample.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``photo``, (H, W, 3) uint8 RGB."""
        results["photo"] = results["img"]
        return results


@TRANSFORMS.register_module()
class LoadMask(BaseTransform):
    """Transform that loads ``seg_map_path`` as ``gt_seg_map``, (H, W) int32 ids, 1000 if ignored.

    The item's ``mask_encoding`` sets the decoding. mmseg's ``LoadAnnotations`` would cast ids to
    uint8. Place it right after ``LoadRGBImage``, since the mask must have ``ori_shape``.

    Args:
        num_classes: largest allowed id except 1000; by default the data set's.
        optional: skip items without a mask, or without ``num_mask_classes``, which third-party
            data sets lack.

    Raises:
        LussError: if the mask is missing or unreadable, or its size or ids do not fit.
    """

    def __init__(self, num_classes: int | None = None, optional: bool = False):
        self.num_classes = num_classes
        self.optional = optional

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the mask to ``results``."""
        path = results.get("seg_map_path")
        if path is None:
            if self.optional:
                return results
            raise LussError(
                f"the image {results['img_path']} has no mask. Set require_masks=True of the data "
                "set to list all missing masks"
            )
        num_classes = self.num_classes or results.get("num_mask_classes")
        if num_classes is None:
            if self.optional:
                return results
            raise LussError(
                f"the number of classes in the mask {path} is unknown. Set LoadMask's num_classes, "
                "or use a data set that describes its masks, such as VOCFolder"
            )
        mask = read_item_mask(results)
        encoding = results.get("mask_encoding", "rgb")
        if results.get("generated_mask") and mask.shape != tuple(results["ori_shape"]):
            now, then = (f"{shape[1]} x {shape[0]}" for shape in (results["ori_shape"], mask.shape))
            raise LussError(
                f"the photo {results['img_path']} has {now} pixels (width x height), but had "
                f"{then} when its label {path} was generated. Restore the photo, or delete the "
                "folder of the stage that generated the labels to recompute them"
            )
        check_mask(mask, results["ori_shape"], num_classes, path, encoding)
        results["gt_seg_map"] = mask
        # Transforms of mmseg read this list.
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results
