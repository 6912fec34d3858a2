"""Both k-means back ends against the partition and objective of the authors' faiss call."""

import numpy as np
import pytest

from luss.label_generation.clustering_quality import matched_accuracy
from luss.label_generation.kmeans import nearest_centroids
from luss.registry import LABEL_GENERATORS


@pytest.mark.parametrize("backend", ["FaissKMeans", "TorchKMeans"])
def test_partition_and_objective(golden, backend):
    arrays = golden("kmeans.npz")
    features, extra = arrays["features"], arrays["features_extra"]
    kmeans = LABEL_GENERATORS.build(
        {
            "type": backend,
            "num_clusters": int(arrays["num_clusters"]),
            "iterations": int(arrays["niter"]),
            "restarts": int(arrays["nredo"]),
        }
    )
    result = kmeans.fit(features)
    assert result.objective == pytest.approx(float(arrays["objective"]), rel=1e-5)
    ids = np.concatenate([result.assignments, nearest_centroids(extra, result.centroids)[0]])
    assert matched_accuracy(ids, arrays["labels"]) == 1.0


def test_assignment_to_given_centroids(golden):
    arrays = golden("kmeans.npz")
    features = np.concatenate([arrays["features"], arrays["features_extra"]])
    found, _ = nearest_centroids(features, arrays["centroids"])
    np.testing.assert_array_equal(found, arrays["labels"])
