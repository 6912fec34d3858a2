"""Foreground maps computed in the data-loading processes."""

from typing import Any

from mmcv.transforms import BaseTransform

from luss.label_generation.foreground.photo import LazyPhoto
from luss.label_generation.foreground.source import ForegroundSource, as_array
from luss.registry import FOREGROUND_SOURCES, TRANSFORMS

__all__ = ["MakeForegroundMap"]


@TRANSFORMS.register_module()
class MakeForegroundMap(BaseTransform):
    """Transform from an item of a data set to ``image_id`` and ``map`` (h, w) float32.

    Args:
        source: foreground source that needs no model, or its config.
        split: of the data set.
    """

    def __init__(self, source: dict | ForegroundSource, split: str = "train") -> None:
        self.source = FOREGROUND_SOURCES.build(source) if isinstance(source, dict) else source
        self.split = split

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Compute the map."""
        photo = LazyPhoto(
            results["image_id"], results["img_path"], self.split, results.get("upright", False)
        )
        return {"image_id": photo.image_id, "map": as_array(self.source(photo))}
