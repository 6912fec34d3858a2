"""The three kinds of stage, train, test and report, and the protocols of tests."""

from luss.stages.centroid_check import check_centroids
from luss.stages.feature_check import check_features
from luss.stages.foreground_check import check_foreground
from luss.stages.label_generation_check import check_label_generation
from luss.stages.protocols import (
    BeforeFineTuning,
    DistanceMatching,
    FullyUnsupervised,
    Protocol,
    SemiSupervised,
)
from luss.stages.report import Report
from luss.stages.test import Test
from luss.stages.train import Train

__all__ = [
    "BeforeFineTuning",
    "DistanceMatching",
    "FullyUnsupervised",
    "Protocol",
    "Report",
    "SemiSupervised",
    "Test",
    "Train",
    "check_centroids",
    "check_features",
    "check_foreground",
    "check_label_generation",
]
