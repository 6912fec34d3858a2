"""Pseudo labels for any data set."""

from pathlib import Path
from typing import Any

from mmcv.transforms import BaseTransform

from luss.registry import TRANSFORMS

__all__ = ["FindMask"]


@TRANSFORMS.register_module()
class FindMask(BaseTransform):
    """Transform that sets the path of an item's pseudo label for ``LoadMask``.

    Args:
        root: folder of ``<image_id>.png``.
        num_classes: largest class id in the masks.
    """

    def __init__(self, root: str, num_classes: int) -> None:
        self.root = root
        self.num_classes = num_classes

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Set ``seg_map_path``, its encoding, and ``generated_mask``."""
        results["seg_map_path"] = str(Path(self.root, f"{results['image_id']}.png"))
        results["num_mask_classes"] = self.num_classes
        results["mask_encoding"] = "rgb"
        results["mask_id_shift"] = 0
        results["generated_mask"] = True
        return results
