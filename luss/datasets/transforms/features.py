"""Transforms of feature maps that a frozen backbone computed before."""

import random
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from luss.datasets.feature_files import FeatureFolder
from luss.datasets.transforms.resizing import resize_mask
from luss.errors import LussError
from luss.registry import TRANSFORMS

__all__ = ["LoadFeatures", "RandomFeatureWindow"]


@TRANSFORMS.register_module()
class LoadFeatures(BaseTransform):
    """Transform that loads the feature maps of a photo, for models with a frozen backbone.

    They replace the photo: without ``LoadRGBImage``, nothing is decoded. With it, place this
    transform after ``ResizeShortSide``. Crops and flips of images do not apply to features.

    Args:
        folder: of a ``FeatureLoop``, such as ``${features.features}/train``.
    """

    def __init__(self, folder: str) -> None:
        self.features = FeatureFolder(folder)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the maps and their strides; and ``ori_shape`` and ``img_shape`` without an image.

        Raises:
            LussError: if the photo has no features, or those of a photo of another size.
        """
        image_id = results["image_id"]
        found = self.features.read(image_id)
        shapes = {"ori_shape": found.photo, "img_shape": found.image}
        if "img" not in results:
            results.update(shapes)
        for key, stored in shapes.items():
            if tuple(results[key][:2]) != stored:
                now, then = (f"{s[1]} x {s[0]}" for s in (results[key], stored))
                what = "has" if key == "ori_shape" else "is resized to"
                raise LussError(
                    f"the photo {image_id} {what} {now} pixels (width x height), but its features "
                    f"in {self.features.folder} were computed from {then}. Resize photos as in the "
                    "stage of the features, or delete its folder to recompute them"
                )
        results["features"] = found.maps
        results["feature_strides"] = self.features.strides
        results["features_shape"] = found.image
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(folder={str(self.features.folder)!r})"


@TRANSFORMS.register_module()
class RandomFeatureWindow(BaseTransform):
    """Transform that cuts a random square out of feature maps and mask, so that batches stack.

    The square consists of complete cells of the coarsest map. The mask is resized to the pixels
    that the network saw. Place it after ``LoadFeatures`` and ``LoadMask``.

    Args:
        size: largest side of the square, in pixels of the network's images; it is rounded down to
            complete cells.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cut ``features``, ``gt_seg_map`` and ``img``, as far as they exist.

        Raises:
            LussError: if the square is smaller than a cell or larger than the photo, or the strides
                are not multiples of each other.
        """
        strides, image_id = results["feature_strides"], results["image_id"]
        coarsest = max(strides)
        if any(coarsest % stride for stride in strides):
            raise LussError(
                f"RandomFeatureWindow: feature maps have strides {strides}, expected divisors of "
                f"the largest, {coarsest}; choose other maps of the backbone (out_indices)"
            )
        height, width = results["img_shape"][:2]
        cells = self.size // coarsest
        side = cells * coarsest
        if not 0 < side <= min(height, width):
            raise LussError(
                f"RandomFeatureWindow: size is {self.size}, of which complete cells of the stride "
                f"{coarsest} cover {side} pixels; expected {coarsest} to "
                f"{min(height, width) // coarsest * coarsest} for the photo {image_id} of "
                f"{width} x {height} pixels. Change `size`"
            )
        top = random.randint(0, height // coarsest - cells)
        left = random.randint(0, width // coarsest - cells)
        maps = []
        for values, stride in zip(results["features"], strides, strict=True):
            finer = coarsest // stride
            window = values[
                top * finer : (top + cells) * finer, left * finer : (left + cells) * finer
            ]
            if window.shape[:2] != (cells * finer, cells * finer):
                raise LussError(
                    f"RandomFeatureWindow: the photo {image_id} of {width} x {height} pixels has "
                    f"a feature map of {values.shape[1]} x {values.shape[0]} cells, too few for "
                    f"the stride {stride}; use a backbone without other borders than padding"
                )
            maps.append(window)
        results["features"] = maps
        top, left = top * coarsest, left * coarsest
        if "gt_seg_map" in results:
            mask = results["gt_seg_map"]
            rows, columns = mask.shape[0] / height, mask.shape[1] / width
            box = (left * columns, top * rows, (left + side) * columns, (top + side) * rows)
            results["gt_seg_map"] = resize_mask(mask, side, side, box)
        if "img" in results:
            results["img"] = np.ascontiguousarray(
                results["img"][top : top + side, left : left + side]
            )
        results["img_shape"] = results["features_shape"] = (side, side)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"
