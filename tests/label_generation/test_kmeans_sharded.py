"""Two gloo processes, each with a share of the images, against one process."""

import numpy as np
from processes import run_ranks
from sharded_worker import SETTINGS, cluster_a_share, points

from luss.label_generation.torch_kmeans import TorchKMeans


def test_two_processes_equal_one(tmp_path):
    run_ranks(cluster_a_share, tmp_path)
    ranks = [dict(np.load(tmp_path / f"{rank}.npz")) for rank in range(2)]
    alone = TorchKMeans(**SETTINGS).fit(points())
    np.testing.assert_array_equal(ranks[0]["centroids"], ranks[1]["centroids"])
    np.testing.assert_allclose(ranks[0]["centroids"], alone.centroids, atol=1e-6)
    np.testing.assert_allclose(ranks[0]["objective"], alone.objective, rtol=1e-6)
    together = np.concatenate([rank["assignments"] for rank in ranks])
    np.testing.assert_array_equal(together, alone.assignments)


def test_sharded_without_other_ranks_is_the_whole():
    alone = TorchKMeans(**SETTINGS).fit(points())
    sharded = TorchKMeans(**SETTINGS).fit(points(), sharded=True)
    np.testing.assert_array_equal(alone.centroids, sharded.centroids)
