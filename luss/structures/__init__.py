from luss.structures.batches import at_least_float32, step_by_size
from luss.structures.geometry import (
    OUTSIDE,
    ViewGeometry,
    near_pixels,
    overlap_grids,
    sample_in_views,
    size_of,
)
from luss.structures.stored_features import pack_maps, stored_maps
from luss.structures.view_features import Assignment, ViewFeatures

__all__ = [
    "OUTSIDE",
    "Assignment",
    "ViewFeatures",
    "ViewGeometry",
    "at_least_float32",
    "near_pixels",
    "overlap_grids",
    "pack_maps",
    "sample_in_views",
    "size_of",
    "step_by_size",
    "stored_maps",
]
