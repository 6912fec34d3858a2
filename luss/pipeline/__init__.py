from luss.datasets.transforms.find_mask import FindMask
from luss.pipeline.finetune_stage import FinetuneStage
from luss.pipeline.label_generation_stage import LabelGenerationStage
from luss.pipeline.pipeline import Pipeline
from luss.pipeline.pretrain_stage import PretrainStage
from luss.pipeline.protocols import (
    PROTOCOLS,
    DistanceMatchingStage,
    EvaluateStage,
    FinetuneSemiStage,
    SemiSupervisedStage,
    evaluate,
)
from luss.pipeline.report_stage import ReportStage
from luss.pipeline.stage import Stage
from luss.pipeline.train_stage import TrainStage

__all__ = [
    "PROTOCOLS",
    "DistanceMatchingStage",
    "EvaluateStage",
    "FindMask",
    "FinetuneSemiStage",
    "FinetuneStage",
    "LabelGenerationStage",
    "Pipeline",
    "PretrainStage",
    "ReportStage",
    "SemiSupervisedStage",
    "Stage",
    "TrainStage",
    "evaluate",
]
