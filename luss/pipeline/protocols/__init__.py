"""The evaluation protocols of section 3.2.1, a stage each."""

from luss.pipeline.protocols.by_name import PROTOCOLS, evaluate, protocol_stage
from luss.pipeline.protocols.distance_matching import DistanceMatchingStage
from luss.pipeline.protocols.fully_unsupervised import EvaluateStage
from luss.pipeline.protocols.protocol_stage import ProtocolStage
from luss.pipeline.protocols.semi_supervised import FinetuneSemiStage, SemiSupervisedStage

__all__ = [
    "PROTOCOLS",
    "DistanceMatchingStage",
    "EvaluateStage",
    "FinetuneSemiStage",
    "ProtocolStage",
    "SemiSupervisedStage",
    "evaluate",
    "protocol_stage",
]
