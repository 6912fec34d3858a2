"""Optimal one-to-one assignment with a tie breaker.

Solvers return any of the optimal assignments, and small sets have many. Dual prices show which
pairs an optimal assignment may use (complementary slackness), so a second score can choose among
them without loss in the first.
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
        tie_breaker: (R, K) non-negative integers: among assignments with the largest sum of
            scores, one with the largest sum of these is returned. Sums above 2^49 / min(R, K) are
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
        raise LussError(f"scores up to {scores.max()} are too large for an exact tie breaker")
    excess, prices = _reduced(scores, columns)
    allowed = excess == 0
    steps = _in_exact_steps(np.where(allowed, tie_breaker, 0))
    # Columns with a price are mandatory: their weight exceeds the sum of all others.
    must = 1 + steps.max(axis=1).sum()
    weights = np.where(allowed, steps + must * (prices > 0), -np.inf)
    chosen = linear_sum_assignment(weights, maximize=True)
    assert scores[chosen].sum() == scores[rows, columns].sum()
    return chosen


def _reduced(scores: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the slack of each pair, and the columns' lowest dual prices.

    Args:
        scores: (R, K) integers, R <= K.
        columns: (R,) an optimal assignment of the rows.

    Returns:
        (R, K) and (K,) int64. An assignment of all rows is optimal exactly if all its pairs have
        slack 0 and it uses every column with a positive price.
    """
    gain = scores - scores[np.arange(len(columns)), columns][:, None]
    prices = np.zeros(scores.shape[1], np.int64)
    dearer = np.arange(len(columns))
    # A row's bid for a column is its gain plus the price of its own column. The assignment is
    # optimal, so no cycle of bids raises a price, and the loop ends.
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
