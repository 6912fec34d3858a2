"""Centroids from a file in place of a clustering."""

import numpy as np
import pytest

from luss.errors import LussError
from luss.label_generation import TorchKMeans
from luss.registry import LABEL_GENERATORS


@pytest.fixture
def embeddings():
    return np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)


def given(path, **settings):
    return LABEL_GENERATORS.build({"type": "GivenCentroids", "file": str(path), **settings})


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_centroids_of_a_clustering_give_its_assignments(tmp_path, embeddings, ending):
    found = TorchKMeans(num_clusters=4, iterations=10, restarts=3, seed=0).fit(embeddings)
    path = tmp_path / f"centroids.{ending}"
    if ending == "npy":
        np.save(path, found.centroids)
    else:
        np.savez(path, centroids=found.centroids, assignments=found.assignments)
    result = given(path, num_clusters=4, seed=5).fit(embeddings)
    assert np.array_equal(result.centroids, found.centroids)
    assert np.array_equal(result.assignments, found.assignments)
    assert result.objective == pytest.approx(found.objective, rel=1e-5)


def test_what_does_not_fit_is_rejected(tmp_path, embeddings):
    np.save(tmp_path / "c.npy", np.ones((4, 7)))
    with pytest.raises(LussError, match=r"contains 4 centroids, but there are 5.*num_categories=4"):
        given(tmp_path / "c.npy", num_clusters=5)
    with pytest.raises(LussError, match=r"shape \(60, 8\) do not fit the centroids \(4, 7\)"):
        given(tmp_path / "c.npy", num_clusters=4).fit(embeddings)
    for array, message in (
        (np.ones(4), r"shape \(4,\), expected"),
        (np.ones((4, 2), int), "int64 of shape"),
        (np.full((4, 2), np.nan), "not finite"),
    ):
        np.save(tmp_path / "c.npy", array)
        with pytest.raises(LussError, match=message):
            given(tmp_path / "c.npy", num_clusters=4)
    np.savez(tmp_path / "c.npz", other=np.ones((4, 2)))
    with pytest.raises(LussError, match="key 'centroids'"):
        given(tmp_path / "c.npz", num_clusters=4)
    with pytest.raises(LussError, match=r"file of centroids .* is missing"):
        given(tmp_path / "absent.npy", num_clusters=4)
