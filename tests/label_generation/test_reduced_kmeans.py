"""Clusters in principal components, against NumPy, and what reads the centroids."""

import numpy as np
import pytest
import torch

from luss.errors import LussError
from luss.label_generation import category_of_image, cluster_of_pixels
from luss.label_generation.clustering_quality import matched_accuracy
from luss.label_generation.kmeans import nearest_centroids
from luss.label_generation.principal_components import principal_components
from luss.registry import LABEL_GENERATORS


def fit(points, clusters, dimensions, **generator):
    config = {"type": "ReducedKMeans", "dimensions": dimensions, "generator": generator}
    return LABEL_GENERATORS.build({**config, "num_clusters": clusters}).fit(points)


def normalised(points):
    return points / np.linalg.norm(points, axis=-1, keepdims=True)


def noisy_blobs(images=240, clusters=6, length=40, noise=0.3, seed=0):
    """Points near axes, beside one direction that they share; and the axis of each."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(images) % clusters)
    points = (
        np.eye(length)[labels]
        + 3 * np.eye(length)[-1]
        + noise * rng.normal(size=(images, length)) / length**0.5
    )
    return (points * rng.uniform(0.1, 9, (images, 1))).astype(np.float32), labels


def components_of(points, count):
    unit = torch.from_numpy(normalised(points.astype(np.float64)))
    return (found.numpy() for found in principal_components(unit.split(100), count))


@pytest.mark.parametrize("backend", ["FaissKMeans", "TorchKMeans"])
def test_the_nearest_centroid_has_the_largest_cosine_in_the_reduced_space(backend):
    points, labels = noisy_blobs()
    result = fit(points, 6, 5, type=backend, restarts=5)
    assert matched_accuracy(result.assignments, labels) == 1.0
    mean, components = components_of(points, 5)
    # Also of points that were not clustered.
    others = np.random.default_rng(1).normal(size=(500, 40)).astype(np.float32) + points[:1]
    for rows in (points, others):
        reduced = (normalised(rows) - mean) @ components.T
        directions = (result.centroids - mean) @ components.T
        cosines = normalised(reduced) @ normalised(directions).T
        nearest, _ = nearest_centroids(rows, result.centroids)
        np.testing.assert_array_equal(nearest, cosines.argmax(axis=1))
    np.testing.assert_array_equal(
        nearest_centroids(points, result.centroids)[0], result.assignments
    )
    distances = np.square(normalised(points) - result.centroids[result.assignments]).sum()
    assert result.objective == pytest.approx(distances, rel=1e-5)


def test_labels_of_images_and_pixels_are_the_clusters():
    points, _ = noisy_blobs(noise=2.0)
    result = fit(points, 6, 8, restarts=3)
    features = torch.from_numpy(points)[:, :, None, None].expand(-1, -1, 2, 3)
    centroids = torch.from_numpy(result.centroids)
    found = category_of_image(features, centroids)
    np.testing.assert_array_equal(found, result.assignments + 1)
    pixels = cluster_of_pixels(features, centroids)
    assert (pixels == found[:, None, None]).all()


def test_centroids_of_tight_clusters_are_their_means():
    points, _ = noisy_blobs(noise=0.01)
    result = fit(points, 6, 5)
    means = [normalised(points)[result.assignments == cluster].mean(axis=0) for cluster in range(6)]
    np.testing.assert_allclose(result.centroids, means, atol=2e-3)


def test_more_noise_than_signal_is_reduced_away():
    """Most of the noise is in dimensions that are dropped."""
    points, labels = noisy_blobs(images=600, length=400, noise=2.5)
    whole = LABEL_GENERATORS.build({"type": "FaissKMeans", "num_clusters": 6, "restarts": 5})
    reduced = fit(points, 6, 5, restarts=5)
    accuracy = matched_accuracy(reduced.assignments, labels)
    assert accuracy > 0.9
    assert accuracy >= matched_accuracy(whole.fit(points).assignments, labels)


def test_the_same_seed_gives_the_same_result_and_equal_images_no_nan():
    points, _ = noisy_blobs()
    first, again = fit(points, 6, 5), fit(points, 6, 5)
    np.testing.assert_array_equal(first.centroids, again.centroids)
    equal = fit(np.ones((9, 4), np.float32), 2, 3)
    assert np.isfinite(equal.centroids).all()
    assert equal.objective == pytest.approx(0, abs=1e-6)


def test_short_embeddings_keep_all_dimensions():
    points, _ = noisy_blobs()
    np.testing.assert_array_equal(fit(points, 6, 64).centroids, fit(points, 6, 40).centroids)


def test_bad_input_is_named():
    points, _ = noisy_blobs(images=8)
    with pytest.raises(LussError, match="dimensions is 0"):
        fit(points, 2, 0)
    with pytest.raises(LussError, match="8 images cannot form 9 clusters"):
        fit(points, 9, 5)
    points[2, 1] = np.nan
    with pytest.raises(LussError, match="NaN or infinite"):
        fit(points, 2, 5)
