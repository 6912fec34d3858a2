"""The evaluation protocols (section 3.2)."""

from luss.stages.protocols.distance_matching import DistanceMatching
from luss.stages.protocols.fully_unsupervised import BeforeFineTuning, FullyUnsupervised
from luss.stages.protocols.protocol import Protocol, SemiSupervised

__all__ = [
    "BeforeFineTuning",
    "DistanceMatching",
    "FullyUnsupervised",
    "Protocol",
    "SemiSupervised",
]
