"""Maps of foreground beside photos, made before by a ``ForegroundStage`` or by anything else."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from luss.errors import LussError
from luss.registry import TRANSFORMS

__all__ = ["LoadForegroundAsMask", "LoadForegroundMap"]


class _LoadMap(BaseTransform):
    """Reads the map of an item's ``image_id``.

    Args:
        folder: of ``<image_id>.png``, 8-bit grey, 255 where an object is likeliest, such as
            ``${foreground.maps}/train``.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder

    def _read(self, results: dict[str, Any], width: int, height: int) -> NDArray[np.uint8]:
        """The map, resized.

        Raises:
            LussError: if there is none, or it is damaged.
        """
        if self.folder is None:
            raise LussError(
                f"{type(self).__name__} has no folder to read from; set it to one with a map "
                "for each photo, such as '${foreground.maps}/train'"
            )
        path = Path(self.folder, f"{results['image_id']}.png")
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
        if values is None or values.ndim != 2 or values.dtype != np.uint8:
            raise LussError(
                f"the photo {results['image_id']} has no map of foreground: {path} is missing, or "
                "no 8-bit grey PNG"
            )
        return cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)


@TRANSFORMS.register_module()
class LoadForegroundMap(_LoadMap):
    """Loads the map of a whole photo as ``foreground``, (size, size) uint8, for views.

    Each view's part is cut out by the model, on the device, by the view's geometry.

    Args:
        folder: see :class:`_LoadMap`.
        size: to which maps of all shapes are resized, so that they fit into one batch.
    """

    def __init__(self, folder: str | None = None, size: int = 64) -> None:
        super().__init__(folder)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise LussError(f"LoadForegroundMap: size is {size!r}, expected an integer from 1 on")
        self.size = size

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``foreground``."""
        results["foreground"] = self._read(results, self.size, self.size)
        return results


@TRANSFORMS.register_module()
class LoadForegroundAsMask(_LoadMap):
    """Loads the map as ``gt_seg_map``, (H, W) int32 in 0..255, of the size of ``img``.

    It stands where the image is whole; crops and flips after it move the map along.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_seg_map``."""
        height, width = results["img"].shape[:2]
        results["gt_seg_map"] = self._read(results, width, height).astype(np.int32)
        return results
