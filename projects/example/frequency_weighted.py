"""A metric: frequency-weighted IoU (Long, Shelhamer and Darrell, CVPR 2015, section 5)."""

from luss.evaluation import Counts, per_class_iou
from luss.registry import COUNT_METRICS

__all__ = ["frequency_weighted_iou"]


@COUNT_METRICS.register_module(name="fwIoU")
def frequency_weighted_iou(counts: Counts) -> float:
    """Return the mean IoU of all classes and 'other', weighted by true pixels, in 0..1."""
    classes = per_class_iou(counts)
    return float((classes.iou * classes.true_area).sum() / classes.true_area.sum())
