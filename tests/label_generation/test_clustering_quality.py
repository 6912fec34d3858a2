"""Matched accuracy against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luss.label_generation.clustering_quality import matched_accuracy


def test_renaming_is_no_error():
    labels = np.array([0, 0, 1, 2, 2, 2])
    renamed = np.array([7, 7, 3, 0, 0, 0])
    assert matched_accuracy(renamed, labels) == 1


def test_independent_halves_share_nothing():
    assert matched_accuracy([0, 0, 1, 1], [0, 1, 0, 1]) == 0.5


def test_closed_forms():
    assert matched_accuracy([0, 1, 2, 3], [0, 0, 1, 1]) == 0.5
    # The greedy choice (cluster 0 to class 0, 3 images) leaves 0; the best total is 2 + 2.
    clusters = [0] * 5 + [1] * 2
    labels = [0] * 3 + [1] * 2 + [0] * 2
    assert matched_accuracy(clusters, labels) == pytest.approx(4 / 7)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40))
def test_symmetric_and_bounded(pairs):
    left, right = np.array(pairs).T
    value = matched_accuracy(left, right)
    assert 0 < value <= 1
    assert matched_accuracy(right, left) == pytest.approx(value, abs=1e-12)
