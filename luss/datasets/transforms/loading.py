"""Load a photo and its mask, strictly."""

from typing import Any

from mmcv.transforms import BaseTransform

from luss.datasets.image_io import read_image
from luss.datasets.mask_check import check_mask
from luss.datasets.mask_codec import read_item_mask
from luss.errors import LussError
from luss.registry import TRANSFORMS

__all__ = ["LoadMask", "LoadRGBImage"]


@TRANSFORMS.register_module()
class LoadRGBImage(BaseTransform):
    """Load ``img_path`` as ``img``, (H, W, 3) uint8 RGB, by PIL.

    It is turned as its EXIF orientation says where the item's ``upright`` is true, as that of
    photos without masks. Adds ``img_shape`` and ``ori_shape``, both (H, W).

    Raises:
        UnreadableImageError: if the file is missing, truncated or unreadable.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the image to ``results``."""
        results["img"] = read_image(results["img_path"], results.get("upright", False))
        results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadMask(BaseTransform):
    """Load ``seg_map_path`` as ``gt_seg_map``, (H, W) int32 class ids, 1000 where ignored.

    It is decoded as the data set says by ``mask_encoding``. mmseg's ``LoadAnnotations`` casts ids
    to uint8. This one comes right after ``LoadRGBImage``, whose ``ori_shape`` the mask must have.

    Args:
        num_classes: largest id but 1000 that is allowed; by default the data set's.
        optional: let items without a mask pass, and those whose data set says nothing of the
            classes in its masks, as those of other libraries.

    Raises:
        LussError: if the mask is missing, unreadable, of another size or has other ids.
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
                f"there is no mask for the image {results['img_path']}; give the data set "
                "require_masks=True to find all that are missing"
            )
        num_classes = self.num_classes or results.get("num_mask_classes")
        if num_classes is None:
            if self.optional:
                return results
            raise LussError(
                f"nothing says which classes the mask {path} has; give LoadMask num_classes, or "
                "use a data set that describes its masks, such as VOCFolder"
            )
        mask = read_item_mask(results)
        encoding = results.get("mask_encoding", "rgb")
        if results.get("generated_mask") and mask.shape != tuple(results["ori_shape"]):
            now, then = (f"{shape[1]} x {shape[0]}" for shape in (results["ori_shape"], mask.shape))
            raise LussError(
                f"the photo {results['img_path']} has {now} pixels (width x height), but had "
                f"{then} when its label {path} was generated: it has changed. Restore it, or "
                "remove the folder of the stage that generated the labels, to run that again"
            )
        check_mask(mask, results["ori_shape"], num_classes, path, encoding)
        results["gt_seg_map"] = mask
        # Where transforms of mmseg look for what goes along with the image.
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results
