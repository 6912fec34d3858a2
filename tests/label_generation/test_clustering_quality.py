"""NMI and matched accuracy against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luss.errors import LussError
from luss.label_generation import matched_accuracy, normalised_mutual_information


def test_renaming_is_no_error():
    labels = np.array([0, 0, 1, 2, 2, 2])
    renamed = np.array([7, 7, 3, 0, 0, 0])
    assert normalised_mutual_information(renamed, labels) == pytest.approx(1)
    assert matched_accuracy(renamed, labels) == 1


def test_independent_halves_share_nothing():
    assert normalised_mutual_information([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(0)
    assert matched_accuracy([0, 0, 1, 1], [0, 1, 0, 1]) == 0.5


def test_closed_forms():
    # Two equal classes, each split in halves: I = H(label) = log 2, H(cluster) = log 4.
    assert normalised_mutual_information([0, 1, 2, 3], [0, 0, 1, 1]) == pytest.approx(2 / 3)
    assert matched_accuracy([0, 1, 2, 3], [0, 0, 1, 1]) == 0.5
    # The greedy choice (cluster 0 to class 0, 3 images) leaves 0; the best total is 2 + 2.
    clusters = [0] * 5 + [1] * 2
    labels = [0] * 3 + [1] * 2 + [0] * 2
    assert matched_accuracy(clusters, labels) == pytest.approx(4 / 7)


def test_one_single_id_on_both_sides():
    assert normalised_mutual_information([4, 4], [1, 1]) == 1
    assert normalised_mutual_information([4, 4], [1, 2]) == pytest.approx(0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40))
def test_symmetric_and_bounded(pairs):
    left, right = np.array(pairs).T
    for quality in (normalised_mutual_information, matched_accuracy):
        value = quality(left, right)
        assert 0 <= value <= 1
        assert quality(right, left) == pytest.approx(value, abs=1e-12)


def test_lengths_must_agree():
    with pytest.raises(LussError, match=r"shape .*expected one"):
        matched_accuracy([0, 1], [0])
    with pytest.raises(LussError, match=r"shape .*expected one"):
        normalised_mutual_information([], [])
