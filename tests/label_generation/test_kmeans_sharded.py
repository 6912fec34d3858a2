"""Two gloo processes, each with a share of the images, against one process."""

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from luss.label_generation.torch_kmeans import TorchKMeans

SETTINGS = {"num_clusters": 6, "iterations": 8, "restarts": 4, "seed": 5, "device": "cpu"}


def points():
    return np.random.default_rng(0).normal(size=(90, 7)).astype(np.float32)


def cluster_a_share(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    share = points()[:35] if rank == 0 else points()[35:]
    result = TorchKMeans(**SETTINGS).fit(share, sharded=True)
    np.savez(
        f"{folder}/{rank}.npz",
        centroids=result.centroids,
        assignments=result.assignments,
        objective=result.objective,
    )
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path):
    mp.spawn(cluster_a_share, args=(str(tmp_path),), nprocs=2)
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
