"""Distances to centroids, in parts and of many vectors an image."""

import numpy as np
import pytest

from luss.errors import LussError
from luss.visualization.category_sheets import distances_to_centroids, members_by_distance


@pytest.mark.parametrize("vectors", [(), (3,)])
def test_equal_to_one_image_at_a_time(vectors):
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(11, *vectors, 5)).astype(np.float32)
    centroids = random.normal(size=(4, 5)).astype(np.float32)
    assignments = random.integers(0, 4, 11)
    found = distances_to_centroids(embeddings, centroids, assignments, rows_at_a_time=4)
    for image, distance in enumerate(found):
        rows = embeddings[image].reshape(-1, 5)
        lengths = [np.sqrt(((row - centroids[assignments[image]]) ** 2).sum()) for row in rows]
        assert distance == pytest.approx(np.mean(lengths), rel=1e-5)


def test_nearest_first_and_empty_categories_stay():
    ordered = members_by_distance(np.array([2, 0, 2, 0, 2]), np.array([3, 5, 1, 5, 2.0]), 4)
    assert [photos.tolist() for photos in ordered] == [[1, 3], [], [2, 4, 0], []]


def test_other_embeddings_are_rejected():
    with pytest.raises(LussError, match=r"\(3, 2\) do not fit 3 assignments to .* \(4, 5\)"):
        distances_to_centroids(np.zeros((3, 2)), np.zeros((4, 5)), np.zeros(3, int))
    with pytest.raises(LussError, match="do not fit 4 assignments"):
        distances_to_centroids(np.zeros((3, 5)), np.zeros((4, 5)), np.zeros(4, int))
