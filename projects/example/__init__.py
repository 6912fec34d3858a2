"""An example of a project: a loss, a clusterer, a matcher and a metric of its own."""

from example.frequency_weighted import frequency_weighted_iou
from example.iou_matcher import IoUMatcher
from example.variance import Variance, variance_loss
from example.ward import WardClusters

__all__ = [
    "IoUMatcher",
    "Variance",
    "WardClusters",
    "frequency_weighted_iou",
    "variance_loss",
]
