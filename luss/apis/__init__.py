"""Finished runs, and prediction with their models."""

from luss.apis.categories import WrittenCategories
from luss.apis.finished_run import FinishedRun
from luss.apis.inferencer import LUSSInferencer
from luss.apis.predict import predict_photos

__all__ = ["FinishedRun", "LUSSInferencer", "WrittenCategories", "predict_photos"]
