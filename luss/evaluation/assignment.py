"""The best one-to-one assignment, and the best of the best ones where several tie.

Which of the optimal assignments a solver returns is chance, and in small sets there are many.
Dual prices tell which pairs any optimal assignment may use (complementary slackness), so that a
second score can choose among all of them without giving up any of the first.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from luss.errors import LussError

__all__ = ["best_assignment"]

_EXACT_BITS = 52
"""Integers of so many bits, and sums of two of them, are exact in the solver's float64."""


def best_assignment(
    scores: np.ndarray, tie_breaker: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of rows and columns, min(R, K) of them, whose scores have the largest sum.

    Args:
        scores: (R, K); integers if there is a tie breaker.
        tie_breaker: (R, K) integers, none below 0: of all assignments with the largest sum of
            scores, one with the largest sum of these is taken. Sums above 2^49 / min(R, K) are
            compared in coarser steps.

    Returns:
        The rows and their columns, (min(R, K),) int64 each.

    Raises:
        LussError: if scores are too large to be summed exactly.
    """
    rows, columns = linear_sum_assignment(scores, maximize=True)
    if tie_breaker is None or not len(rows):
        return rows, columns
    if scores.shape[0] > scores.shape[1]:
        columns, rows = best_assignment(scores.T, tie_breaker.T)
        return rows, columns
    if (4 * len(rows) * int(np.abs(scores).max())).bit_length() > _EXACT_BITS:
        raise LussError(f"scores up to {scores.max()} are too large to break ties among them")
    excess, prices = _reduced(scores, columns)
    allowed = excess == 0
    steps = _in_exact_steps(np.where(allowed, tie_breaker, 0))
    # What has a price must be taken: that weighs more than all else together.
    must = 1 + steps.max(axis=1).sum()
    weights = np.where(allowed, steps + must * (prices > 0), -np.inf)
    chosen = linear_sum_assignment(weights, maximize=True)
    assert scores[chosen].sum() == scores[rows, columns].sum()
    return chosen


def _reduced(scores: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each pair is from being of use, and the columns' lowest dual prices.

    Args:
        scores: (R, K) integers, R <= K.
        columns: (R,) an optimal assignment of the rows.

    Returns:
        (R, K) and (K,) int64. An assignment of all rows is optimal exactly if all its pairs are
        at 0 and it takes every column whose price is above 0.
    """
    gain = scores - scores[np.arange(len(columns)), columns][:, None]
    prices = np.zeros(scores.shape[1], np.int64)
    dearer = np.arange(len(columns))
    # A row bids for each column what it would gain, on top of its own column's price. No bid can
    # come back to where it began and be higher, as the assignment is optimal; so this ends.
    while len(dearer):
        bids = (gain[dearer] + prices[columns[dearer], None]).max(axis=0)
        raised = bids > prices
        prices = np.maximum(prices, bids)
        dearer = np.flatnonzero(raised[columns])
    return prices - gain - prices[columns, None], prices


def _in_exact_steps(values: np.ndarray) -> np.ndarray:
    """Halve values until the solver's sums, of up to 4 R weights, are exact."""
    largest = 8 * len(values) * (1 + int(values.max(axis=1).sum()))
    return values >> max(0, largest.bit_length() - _EXACT_BITS)
