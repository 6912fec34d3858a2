"""Counting, metrics and matching as pure functions, and MMEngine metrics."""

from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.distance_matcher import DistanceMatcher
from luss.evaluation.dump_masks import DumpMasks
from luss.evaluation.matching import ImageLevelMatcher, PixelOverlapMatcher
from luss.evaluation.metrics import compute_metrics, named_metrics, per_class_iou, to_percent
from luss.evaluation.segmentation_metric import SegmentationMetric

__all__ = [
    "Counts",
    "DistanceMatcher",
    "DumpMasks",
    "ImageLevelMatcher",
    "PixelOverlapMatcher",
    "SegmentationMetric",
    "compute_metrics",
    "count_image",
    "named_metrics",
    "per_class_iou",
    "to_percent",
]
