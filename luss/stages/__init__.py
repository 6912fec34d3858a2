"""The steps of PASS and the evaluation protocols, a stage each."""

from luss.stages.distance_matching import DistanceMatchingStage
from luss.stages.finetune_stage import FinetuneStage
from luss.stages.foreground_stage import ForegroundStage
from luss.stages.fully_unsupervised import EvaluateStage
from luss.stages.label_evaluation import EvaluateLabelsStage
from luss.stages.label_generation_stage import LabelGenerationStage
from luss.stages.pretrain_stage import PretrainStage
from luss.stages.protocol_stage import ProtocolStage, evaluation_set_config
from luss.stages.report_stage import ReportStage
from luss.stages.semi_supervised import FinetuneSemiStage, SemiSupervisedStage
from luss.stages.train_stage import TrainStage

__all__ = [
    "DistanceMatchingStage",
    "EvaluateLabelsStage",
    "EvaluateStage",
    "FinetuneSemiStage",
    "FinetuneStage",
    "ForegroundStage",
    "LabelGenerationStage",
    "PretrainStage",
    "ProtocolStage",
    "ReportStage",
    "SemiSupervisedStage",
    "TrainStage",
    "evaluation_set_config",
]
