"""The boundaries that the evaluation counts, as pictures."""

import numpy as np

from luss.evaluation.counting import _boundary_bits, _join_ids


def boundary_ids(ids: np.ndarray) -> np.ndarray:
    """Return ``id + 1`` on the boundary of a mask (H, W) of ids, and 0 elsewhere."""
    return np.where(_boundary_bits(_join_ids(ids, ids)) & 2, ids + 1, 0)
