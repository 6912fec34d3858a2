"""Counting, metrics and matching as pure functions; MMEngine metrics; protocols."""

from luss.evaluation.counting import Counts, count_image
from luss.evaluation.matching import ImageLevelMatcher, PixelOverlapMatcher
from luss.evaluation.metrics import compute_metrics, per_class_iou, to_percent

__all__ = [
    "Counts",
    "ImageLevelMatcher",
    "PixelOverlapMatcher",
    "compute_metrics",
    "count_image",
    "per_class_iou",
    "to_percent",
]
