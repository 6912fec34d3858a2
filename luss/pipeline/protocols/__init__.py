"""The evaluation protocols of section 3.2.1, a stage each."""

from luss.pipeline.protocols.distance_matching import DistanceMatchingStage
from luss.pipeline.protocols.evaluation import build_protocol, evaluate, known_protocols
from luss.pipeline.protocols.fully_unsupervised import EvaluateStage
from luss.pipeline.protocols.label_evaluation import EvaluateLabelsStage
from luss.pipeline.protocols.protocol_stage import ProtocolStage, evaluation_set_config
from luss.pipeline.protocols.semi_supervised import FinetuneSemiStage, SemiSupervisedStage

__all__ = [
    "DistanceMatchingStage",
    "EvaluateLabelsStage",
    "EvaluateStage",
    "FinetuneSemiStage",
    "ProtocolStage",
    "SemiSupervisedStage",
    "build_protocol",
    "evaluate",
    "evaluation_set_config",
    "known_protocols",
]
