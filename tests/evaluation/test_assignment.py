"""The best assignment and its tie breaker, against all assignments and against one joint score."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from luss.errors import LussError
from luss.evaluation.assignment import best_assignment

sizes = st.integers(1, 5)


@st.composite
def tables(draw):
    """Scores with many ties, and what breaks them."""
    shape = draw(st.tuples(sizes, sizes))
    scores = draw(arrays(np.int64, shape, elements=st.integers(0, draw(st.integers(0, 4)))))
    return scores, draw(arrays(np.int64, shape, elements=st.integers(0, 9)))


def sums(table, rows, columns):
    return tuple(int(part[rows, columns].sum()) for part in table)


def best_sums(scores, tie_breaker):
    """The largest pair of sums over all assignments."""
    if scores.shape[0] > scores.shape[1]:
        scores, tie_breaker = scores.T, tie_breaker.T
    rows = np.arange(scores.shape[0])
    return max(
        sums((scores, tie_breaker), rows, np.array(columns))
        for columns in itertools.permutations(range(scores.shape[1]), len(rows))
    )


@settings(max_examples=500, deadline=None)
@given(tables())
def test_no_assignment_is_better(table):
    rows, columns = best_assignment(*table)
    assert len(rows) == len(set(rows.tolist())) == min(table[0].shape)
    assert len(columns) == len(set(columns.tolist())) == min(table[0].shape)
    assert sums(table, rows, columns) == best_sums(*table)


@pytest.mark.parametrize("shape", [(40, 40), (12, 60), (60, 12)])
@pytest.mark.parametrize("highest", [1, 3, 30])
def test_equal_to_one_joint_score(shape, highest):
    """While the numbers are small, images * 2^20 + pixels is exact in the solver, too."""
    generator = np.random.default_rng(highest)
    for density in (0.05, 0.3, 1):
        scores = generator.integers(0, highest + 1, shape) * (generator.random(shape) < density)
        pixels = np.where(scores > 0, generator.integers(1, 1000, shape), 0)
        joint = (scores << 20) + pixels
        expected = joint[linear_sum_assignment(joint, maximize=True)].sum()
        assert joint[best_assignment(scores, pixels)].sum() == expected


def test_a_column_that_every_best_assignment_takes_is_not_given_up():
    """Pixels alone would leave column 0 to nobody, and one image with it."""
    scores = np.array([[5, 3, 3], [5, 3, 3]])
    pixels = np.array([[0, 90, 90], [0, 90, 90]])
    rows, columns = best_assignment(scores, pixels)
    assert sums((scores, pixels), rows, columns) == (8, 90)


def test_pixels_of_millions_of_photos_are_told_apart_by_one():
    """919 classes, ten thousand million pixels a class: one pixel decides."""
    classes = 919
    scores = np.full((classes, classes), 12_419)
    pixels = np.full((classes, classes), 10**10 // classes)
    order = np.random.default_rng(0).permutation(classes)
    pixels[np.arange(classes), order] += 1
    rows, columns = best_assignment(scores, pixels)
    np.testing.assert_array_equal(columns, order[rows])


def test_far_more_pixels_never_cost_an_image():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 3, (30, 30))
    pixels = generator.integers(0, 2**55, (30, 30))
    expected = scores[linear_sum_assignment(scores, maximize=True)].sum()
    assert scores[best_assignment(scores, pixels)].sum() == expected


def test_scores_that_cannot_be_summed_exactly():
    huge = np.full((3, 3), 2**50)
    with pytest.raises(LussError, match="too large"):
        best_assignment(huge, huge)
