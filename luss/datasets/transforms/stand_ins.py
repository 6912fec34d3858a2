"""Placeholder masks and maps for a dry run, before a stage creates the real ones."""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from luss.datasets.transforms.foreground_map import LoadForegroundAsMask
from luss.registry import TRANSFORMS

__all__ = ["StandInForegroundAsMask", "StandInMask"]


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
