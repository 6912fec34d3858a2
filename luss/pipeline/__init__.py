from luss.datasets.transforms.find_mask import FindMask
from luss.pipeline.finetune_stage import FinetuneStage
from luss.pipeline.foreground_stage import ForegroundStage
from luss.pipeline.label_generation_stage import LabelGenerationStage
from luss.pipeline.pipeline import Pipeline
from luss.pipeline.pretrain_stage import PretrainStage
from luss.pipeline.protocols import (
    DistanceMatchingStage,
    EvaluateStage,
    FinetuneSemiStage,
    ProtocolStage,
    SemiSupervisedStage,
    evaluate,
    known_protocols,
)
from luss.pipeline.report_stage import ReportStage
from luss.pipeline.stage import Stage
from luss.pipeline.train_stage import TrainStage
from luss.pipeline.train_with_maps_stage import TrainWithMapsStage

__all__ = [
    "DistanceMatchingStage",
    "EvaluateStage",
    "FindMask",
    "FinetuneSemiStage",
    "FinetuneStage",
    "ForegroundStage",
    "LabelGenerationStage",
    "Pipeline",
    "PretrainStage",
    "ProtocolStage",
    "ReportStage",
    "SemiSupervisedStage",
    "Stage",
    "TrainStage",
    "TrainWithMapsStage",
    "evaluate",
    "known_protocols",
]
