"""Transform that loads foreground maps of photos."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from luss.errors import LussError
from luss.registry import TRANSFORMS

__all__ = ["LoadForegroundAsMask"]


@TRANSFORMS.register_module()
class LoadForegroundAsMask(BaseTransform):
    """Transform that loads the map as ``gt_seg_map``, (H, W) int32 in 0..255, in ``img``'s size.

    Place it before crops and flips, which then apply to image and map.

    Args:
        folder: of ``<image_id>.png``, 8-bit grey, 255 where an object is most likely, such as
            ``${foreground.maps}/train``.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_seg_map``."""
        # Without an image, its features stand for it.
        shape = results["img"].shape if "img" in results else results["img_shape"]
        height, width = shape[:2]
        results["gt_seg_map"] = self._read(results, width, height).astype(np.int32)
        return results

    def _read(self, results: dict[str, Any], width: int, height: int) -> NDArray[np.uint8]:
        """Return the map resized to (height, width) uint8.

        Raises:
            LussError: if the map is missing or damaged.
        """
        if self.folder is None:
            raise LussError(
                f"{type(self).__name__} has no folder. Set it to a folder with a map per photo, "
                "such as '${foreground.maps}/train'"
            )
        path = Path(self.folder, f"{results['image_id']}.png")
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
        if values is None or values.ndim != 2 or values.dtype != np.uint8:
            raise LussError(
                f"the photo {results['image_id']} has no foreground map: {path} is missing, or not "
                "an 8-bit grey PNG. Add it, or correct `folder`"
            )
        resized = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(resized, np.uint8)
