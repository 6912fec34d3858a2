"""The fully unsupervised protocol, by its first name; see :mod:`luss.pipeline.protocols`."""

from luss.pipeline.protocols.fully_unsupervised import EvaluateStage
from luss.pipeline.protocols.results import metric_table

__all__ = ["EvaluateStage", "metric_table"]
