"""Data on which k-means goes wrong if it samples, or leaves clusters empty."""

import numpy as np
import pytest

from luss.label_generation import FaissKMeans, TorchKMeans


@pytest.mark.parametrize("kind", [TorchKMeans, FaissKMeans])
def test_all_images_are_used(kind):
    """The one centroid of 2000 images is their mean; faiss would sample 256."""
    points = np.random.default_rng(0).normal(size=(2000, 5)).astype(np.float32)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    result = kind(1, iterations=2, restarts=1).fit(points)
    np.testing.assert_allclose(result.centroids[0], unit.mean(axis=0), atol=1e-6)


def test_an_empty_cluster_is_filled():
    """Of three places that many images share, two begin at one place under some seeds."""
    points = np.repeat(np.eye(3, dtype=np.float32), [2, 3, 3], axis=0)
    for seed in range(12):
        kmeans = TorchKMeans(3, iterations=10, restarts=1, seed=seed, device="cpu")
        result = kmeans.fit(points)
        assert result.objective == pytest.approx(0, abs=1e-6), seed
        assert len(set(result.assignments)) == 3
