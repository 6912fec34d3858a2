"""Areas and scores against loops over pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luss.apis.categories import WrittenCategories
from luss.apis.found import areas_and_scores, found_categories
from luss.errors import LussError
from luss.visualization.colours import generated_legend, true_legend


def slow(ids, logits):
    powers = np.exp(logits.astype(np.float64))
    probabilities = powers / powers.sum(axis=0)
    height, width = ids.shape
    areas, sums = np.zeros(len(logits), int), np.zeros(len(logits))
    for y in range(height):
        for x in range(width):
            row = int((y + 0.5) / height * logits.shape[1])
            column = int((x + 0.5) / width * logits.shape[2])
            areas[ids[y, x]] += 1
            sums[ids[y, x]] += probabilities[ids[y, x], row, column]
    return areas, np.where(areas > 0, sums / np.maximum(areas, 1), 0)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 23), st.integers(1, 23)),
    cells=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    classes=st.integers(1, 6),
    seed=st.integers(0, 999),
)
def test_each_pixel_counts_with_the_probability_of_its_cell(size, cells, classes, seed):
    random = np.random.default_rng(seed)
    ids = random.integers(0, classes, size)
    logits = random.normal(size=(classes, *cells)).astype(np.float32)
    areas, scores = areas_and_scores(ids, logits)
    expected_areas, expected_scores = slow(ids, logits)
    assert np.array_equal(areas, expected_areas)
    assert np.allclose(scores, expected_scores, rtol=0, atol=1e-12)


def test_an_id_without_a_logit_is_refused():
    with pytest.raises(LussError, match="the id 3, but there are 3 logits"):
        areas_and_scores(np.array([[3]]), np.zeros((3, 1, 1), np.float32))


def test_merged_categories_share_area_and_score():
    """Ids 1 and 3 are written as 2, id 2 is dropped."""
    legend = generated_legend(3, None, true_legend({}))
    categories = WrittenCategories("generated", np.array([0, 2, 0, 2]), legend)
    ids = np.array([[0, 1, 1, 3], [2, 2, 2, 2]])
    logits = np.random.default_rng(0).normal(size=(4, 2, 4)).astype(np.float32)
    (found,) = found_categories(ids, logits, categories)
    powers = np.exp(logits.astype(np.float64))
    probabilities = powers / powers.sum(axis=0)
    mean = (probabilities[1, 0, 1] + probabilities[1, 0, 2] + probabilities[3, 0, 3]) / 3
    assert (found.id, found.area) == (2, 3 / 8)
    assert found.score == pytest.approx(mean)


def test_the_largest_category_comes_first_and_other_not_at_all():
    legend = generated_legend(2, None, true_legend({}))
    categories = WrittenCategories("generated", np.arange(3), legend)
    found = found_categories(
        np.array([[0, 0, 0, 1, 2, 2]]), np.zeros((3, 1, 1), np.float32), categories
    )
    assert [(each.id, each.name) for each in found] == [(2, "category 2"), (1, "category 1")]
