"""A matcher: generated to true categories by the best total of their pixels' IoU."""

import numpy as np

from luss.evaluation import Counts
from luss.evaluation.matching import match_ids
from luss.evaluation.metrics import iou_from_areas
from luss.registry import MATCHERS

__all__ = ["IoUMatcher"]


@MATCHERS.register_module()
class IoUMatcher:
    """Matches by intersection over union, so that large categories do not outweigh small ones.

    Args:
        unmatched: what becomes of left-over generated ids, see :func:`match_ids`.
    """

    def __init__(self, unmatched: str = "other") -> None:
        self.unmatched = unmatched

    def __call__(self, counts: Counts) -> np.ndarray:
        """Return the (G+1,) match for counts over generated ids."""
        pixels = counts.confusion[0, 0, :-1, :-1]
        predicted, true = pixels.sum(axis=1, keepdims=True), pixels.sum(axis=0, keepdims=True)
        return match_ids(iou_from_areas(pixels, predicted, true)[1:, 1:], self.unmatched)
