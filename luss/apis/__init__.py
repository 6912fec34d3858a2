"""Finished runs, and the use of their models on any photos."""

from luss.apis.finished_run import FinishedRun

__all__ = ["FinishedRun"]
