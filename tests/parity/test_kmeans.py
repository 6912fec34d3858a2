"""Both k-means back ends against the partition and objective of the authors' faiss call."""

import numpy as np
import pytest

from luss.label_generation import assign, matched_accuracy
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
    ids = np.concatenate([result.assignments, assign(extra, result.centroids)])
    assert matched_accuracy(ids, arrays["labels"]) == 1.0


def test_assignment_to_given_centroids(golden):
    arrays = golden("kmeans.npz")
    features = np.concatenate([arrays["features"], arrays["features_extra"]])
    np.testing.assert_array_equal(assign(features, arrays["centroids"]), arrays["labels"])
