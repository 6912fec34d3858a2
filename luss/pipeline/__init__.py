"""What runs stages in order in a work dir, whatever they are."""

from luss.pipeline.context import Context
from luss.pipeline.evaluation import evaluate, known_protocols, protocols_of
from luss.pipeline.pipeline import Pipeline
from luss.pipeline.runner_stage import RunnerStage
from luss.pipeline.stage import Stage

__all__ = [
    "Context",
    "Pipeline",
    "RunnerStage",
    "Stage",
    "evaluate",
    "known_protocols",
    "protocols_of",
]
