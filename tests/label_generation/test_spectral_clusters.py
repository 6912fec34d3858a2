"""Spectral clusters, against components of a graph and on clusters of different size."""

import numpy as np
import pytest

from luss.errors import LussError
from luss.label_generation.clustering_quality import matched_accuracy
from luss.label_generation.kmeans import nearest_centroids
from luss.registry import LABEL_GENERATORS


def fit(points, clusters, **settings):
    config = {"type": "SpectralClusters", "num_clusters": clusters, **settings}
    return LABEL_GENERATORS.build(config).fit(points)


def blobs(sizes, noise, length=20, seed=0):
    """Points around one axis for each size; and the axis of each."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    points = np.eye(length)[labels] + noise * rng.normal(size=(len(labels), length)) / length**0.5
    return points.astype(np.float32), labels


def test_components_of_the_graph_are_clusters():
    points, labels = blobs([40, 12, 25, 11], noise=0.1)
    # With 10 neighbours, no point is linked with another axis.
    result = fit(points, 4)
    assert matched_accuracy(result.assignments, labels) == 1.0
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    means = [unit[result.assignments == cluster].mean(axis=0) for cluster in range(4)]
    np.testing.assert_allclose(result.centroids, means, atol=1e-6)
    distances = np.square(unit - result.centroids[result.assignments]).sum()
    assert result.objective == pytest.approx(distances, rel=1e-5)
    np.testing.assert_array_equal(
        nearest_centroids(points, result.centroids)[0], result.assignments
    )


def test_clusters_do_not_depend_on_the_seed_and_may_differ_in_size():
    sizes = [100, 60, 25, 25, 25, 25, 25, 25, 15, 15, 15, 15]
    points, labels = blobs(sizes, noise=1.2)
    found = [fit(points, len(sizes), seed=seed).assignments for seed in range(3)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    means = LABEL_GENERATORS.build(
        {"type": "FaissKMeans", "num_clusters": len(sizes), "restarts": 1}
    ).fit(points)
    accuracy = matched_accuracy(found[0], labels)
    assert accuracy > 0.95
    assert accuracy > matched_accuracy(means.assignments, labels)


def test_in_principal_components():
    points, labels = blobs([40, 12, 25, 11], noise=0.3)
    result = LABEL_GENERATORS.build(
        {
            "type": "ReducedKMeans",
            "num_clusters": 4,
            "dimensions": 3,
            "generator": {"type": "SpectralClusters"},
        }
    ).fit(points)
    assert matched_accuracy(result.assignments, labels) == 1.0


@pytest.mark.parametrize(
    ("images", "clusters", "neighbours"), [(9, 9, 3), (9, 8, 10), (4, 2, 10), (6, 1, 2)]
)
def test_few_images(images, clusters, neighbours):
    points, _ = blobs([1] * images, noise=0.1)
    result = fit(points, clusters, neighbours=neighbours)
    assert set(result.assignments) <= set(range(clusters))
    if images == clusters:
        assert sorted(result.assignments) == list(range(clusters))


def test_equal_images_have_finite_centroids():
    result = fit(np.ones((9, 4), np.float32), 2)
    np.testing.assert_allclose(result.centroids, 0.5)
    assert result.objective == pytest.approx(0, abs=1e-6)


def test_bad_input_is_named():
    points, _ = blobs([4, 4], noise=0.1)
    with pytest.raises(LussError, match="neighbours is 1"):
        fit(points, 2, neighbours=1)
    with pytest.raises(LussError, match="8 images cannot form 9 clusters"):
        fit(points, 9)
    points[2, 1] = np.nan
    with pytest.raises(LussError, match="NaN or infinite"):
        fit(points, 2)
