"""Both back ends: recovery of known clusters, seeds, degenerate data, bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luss.errors import LussError
from luss.label_generation.clustering_quality import matched_accuracy
from luss.label_generation.kmeans import nearest_centroids
from luss.label_generation.torch_kmeans import (
    TorchKMeans,
    add_by_index,
    add_by_product,
    split_large_clusters,
)
from luss.registry import LABEL_GENERATORS

BACKENDS = ["FaissKMeans", "TorchKMeans"]


def build(backend, **settings):
    return LABEL_GENERATORS.build({"type": backend, "restarts": 5, **settings})


def blobs(images=120, clusters=4, length=8, noise=0.05, seed=0):
    """Points near orthogonal axes, and the axis of each."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(images) % clusters)
    points = np.eye(length, dtype=np.float32)[labels]
    return points + noise * rng.normal(size=points.shape).astype(np.float32), labels


def normalised(points):
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def objective_of(points, result):
    return np.square(normalised(points) - result.centroids[result.assignments]).sum()


@pytest.mark.parametrize("backend", BACKENDS)
def test_separate_clusters_are_recovered_whatever_the_length_of_the_points(backend):
    points, labels = blobs()
    scales = np.random.default_rng(1).uniform(0.1, 100, size=(len(points), 1)).astype(np.float32)
    result = build(backend, num_clusters=4).fit(points * scales)
    assert matched_accuracy(result.assignments, labels) == 1.0
    means = [normalised(points)[result.assignments == c].mean(axis=0) for c in range(4)]
    np.testing.assert_allclose(result.centroids, means, atol=1e-5)
    assert result.objective == pytest.approx(objective_of(points, result), rel=1e-4)
    assert result.centroids.dtype == np.float32
    assert result.assignments.dtype == np.int64


@pytest.mark.parametrize("backend", BACKENDS)
def test_more_restarts_never_do_worse_and_seeds_repeat(backend):
    points, _ = blobs(images=200, clusters=20, length=24, noise=0.2)
    few = build(backend, num_clusters=20, restarts=1, seed=3).fit(points)
    many = build(backend, num_clusters=20, restarts=10, seed=3).fit(points)
    again = build(backend, num_clusters=20, restarts=10, seed=3).fit(points)
    other = build(backend, num_clusters=20, restarts=1, seed=4).fit(points)
    assert many.objective <= few.objective * (1 + 1e-6)
    np.testing.assert_array_equal(many.centroids, again.centroids)
    np.testing.assert_array_equal(many.assignments, again.assignments)
    assert not np.array_equal(few.centroids, other.centroids)


@pytest.mark.parametrize("backend", BACKENDS)
def test_as_many_clusters_as_images(backend):
    points, _ = blobs(images=6, clusters=6, noise=0.1)
    result = build(backend, num_clusters=6).fit(points)
    assert sorted(result.assignments) == list(range(6))
    assert result.objective == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_copies_of_few_points_leave_no_nan(backend):
    points = np.repeat(np.eye(3, 5, dtype=np.float32), 10, axis=0)
    result = build(backend, num_clusters=8).fit(points)
    assert np.isfinite(result.centroids).all()
    assert result.objective == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_mapped_half_precision_and_tensor_input(backend, tmp_path):
    points, labels = blobs()
    path = tmp_path / "embeddings.npy"
    np.save(path, points.astype(np.float16))
    mapped = np.load(path, mmap_mode="r")
    for features in (mapped, torch.from_numpy(points)):
        result = build(backend, num_clusters=4).fit(features)
        assert matched_accuracy(result.assignments, labels) == 1.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_bad_input_is_named(backend):
    points, _ = blobs(images=5)
    with pytest.raises(LussError, match="5 images cannot form 6 clusters"):
        build(backend, num_clusters=6).fit(points)
    with pytest.raises(LussError, match=r"expected \(N, L\)"):
        build(backend, num_clusters=2).fit(points[0])
    with pytest.raises(LussError, match="restarts is 0"):
        build(backend, num_clusters=2, restarts=0)
    points[2, 1] = np.nan
    with pytest.raises(LussError, match="NaN or infinite"):
        build(backend, num_clusters=2).fit(points)
    with pytest.raises(LussError, match="both must come from the same backbone"):
        nearest_centroids(points, np.zeros((2, 3), np.float32))


def test_blocks_do_not_change_the_result():
    points, _ = blobs(images=101, clusters=7, noise=0.3)
    whole = TorchKMeans(7, restarts=3, device="cpu").fit(points)
    blocks = TorchKMeans(7, restarts=3, device="cpu", block_elements=21 * 10).fit(points)
    np.testing.assert_array_equal(whole.assignments, blocks.assignments)
    np.testing.assert_allclose(whole.centroids, blocks.centroids, atol=1e-6)


def test_torch_equals_a_plain_lloyd_from_the_same_images():
    """One restart, restated with loops over images and clusters."""
    points, _ = blobs(images=60, clusters=5, noise=0.4)
    result = TorchKMeans(5, iterations=4, restarts=1, seed=7, device="cpu").fit(points)
    unit = normalised(points.astype(np.float64))
    first = torch.randperm(60, generator=torch.Generator().manual_seed(7))[:5]
    centroids = unit[first.numpy()]
    for _ in range(4):
        nearest = np.array([np.square(centroids - x).sum(axis=1).argmin() for x in unit])
        centroids = np.stack([unit[nearest == c].mean(axis=0) for c in range(5)])
    np.testing.assert_allclose(result.centroids, centroids, atol=1e-6)


def test_both_ways_of_adding_equal_a_plain_loop():
    torch.manual_seed(0)
    block, nearest = torch.randn(11, 3), torch.randint(0, 4, (11, 2)) + torch.tensor([0, 4])
    sums, counts = torch.ones(8, 3).double(), torch.ones(8).double()
    for row, clusters in zip(block, nearest, strict=True):
        sums[clusters] += row
        counts[clusters] += 1
    for add, scratch in ((add_by_index, []), (add_by_product, [torch.randn(11, 8)])):
        found = torch.ones(8, 3).double(), torch.ones(8).double()
        add(*found, block, nearest, *scratch)
        torch.testing.assert_close(found[0], sums, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(found[1], counts)


def test_the_largest_cluster_is_split_for_an_empty_one():
    centroids = torch.arange(12.0).view(1, 4, 3) + 1
    counts = torch.tensor([[5, 0, 9, 0]])
    split = split_large_clusters(centroids, counts)
    up, down = 1 + 1 / 1024, 1 - 1 / 1024
    sign = torch.tensor([up, down, up])
    # The last of the empty clusters takes from the largest.
    torch.testing.assert_close(split[0, 3], centroids[0, 2] * sign)
    torch.testing.assert_close(split[0, 2], centroids[0, 2] * (2 - sign))
    torch.testing.assert_close(split[0, 1], centroids[0, 0] * sign)
    torch.testing.assert_close(split[0, 0], centroids[0, 0] * (2 - sign))


@settings(max_examples=30, deadline=None)
@given(
    images=st.integers(1, 20),
    clusters=st.integers(1, 9),
    length=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_nearest_centroid_equals_a_plain_search(images, clusters, length, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(images, length)).astype(np.float32)
    centroids = rng.normal(size=(clusters, length)).astype(np.float32)
    ids, distances = nearest_centroids(points, centroids)
    plain = np.square(normalised(points)[:, None] - centroids).sum(axis=2)
    np.testing.assert_allclose(distances, plain.min(axis=1), atol=1e-5)
    np.testing.assert_allclose(plain[np.arange(images), ids], plain.min(axis=1), atol=1e-5)
