"""Placeholder masks, maps and features for a dry run, before a stage creates the real ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from luss.datasets.transforms.foreground_map import LoadForegroundAsMask
from luss.registry import TRANSFORMS

__all__ = ["StandInFeatures", "StandInForegroundAsMask", "StandInMask"]


@TRANSFORMS.register_module()
class StandInMask(BaseTransform):
    """Replacement of ``LoadMask`` that adds a mask of stripes with every class.

    Args:
        num_classes: largest id.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_seg_map``, (H, W) int32 in 0..num_classes."""
        height, width = results["ori_shape"]
        columns = np.arange(width, dtype=np.int32) % (self.num_classes + 1)
        results["gt_seg_map"] = np.tile(columns, (height, 1))
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results


@TRANSFORMS.register_module()
class StandInForegroundAsMask(LoadForegroundAsMask):
    """Replacement of :class:`LoadForegroundAsMask` with a gradient from 255 to 0, left to right."""

    def _read(self, results: dict[str, Any], width: int, height: int) -> NDArray[np.uint8]:
        return np.tile(np.linspace(255, 0, width).astype(np.uint8), (height, 1))


@TRANSFORMS.register_module()
class StandInFeatures(BaseTransform):
    """Replacement of ``LoadFeatures`` with random feature maps of a square photo.

    Args:
        channels: of the maps, from shallow to deep.
        strides: of the maps, in pixels.
        side: of the photo, in pixels; rounded up to a multiple of the largest stride.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], side: int) -> None:
        self.channels = list(channels)
        self.strides = list(strides)
        self.side = -(-side // max(strides)) * max(strides)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add what ``LoadFeatures`` adds; an image is not looked at."""
        shape = (self.side, self.side)
        results["features"] = [
            np.random.standard_normal((self.side // stride, self.side // stride, length)).astype(
                np.float32
            )
            for length, stride in zip(self.channels, self.strides, strict=True)
        ]
        results["feature_strides"] = self.strides
        if "img" not in results:
            results["ori_shape"] = results["img_shape"] = shape
        results["features_shape"] = tuple(results["img_shape"][:2])
        return results
