"""Packing of views together with the map of their photo."""

from typing import Any

import cv2
import torch
from torch import Tensor

from luss.datasets.transforms import PackViews
from luss.errors import LussError
from luss.registry import TRANSFORMS

__all__ = ["PackViewsAndMap"]


@TRANSFORMS.register_module()
class PackViewsAndMap(PackViews):
    """As ``PackViews``, with the map of the complete photo from ``LoadForegroundAsMask``.

    The model cuts out each view's part on the device, by the view's geometry.

    Args:
        size: side to which all maps are resized, so that they fit into one batch.
    """

    def __init__(self, size: int = 64) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise LussError(f"PackViewsAndMap: size is {size!r}. Expected a positive integer")
        self.size = size

    def transform(self, results: dict[str, Any]) -> dict[str, list[Tensor] | Tensor]:
        """Pack views, geometry, and ``foreground``, (1, size, size) uint8.

        Raises:
            LussError: if no map was loaded.
        """
        if "gt_seg_map" not in results:
            raise LussError(
                "PackViewsAndMap found no foreground map. Add LoadForegroundAsMask after "
                "LoadRGBImage"
            )
        values = results["gt_seg_map"].astype("uint8")
        resized = cv2.resize(values, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return {**super().transform(results), "foreground": torch.from_numpy(resized)[None]}
