"""One of two processes that cluster together; in a module that a spawned process can import."""

import numpy as np

from luss.label_generation.torch_kmeans import TorchKMeans

SETTINGS = {"num_clusters": 6, "iterations": 8, "restarts": 4, "seed": 5, "device": "cpu"}


def points():
    return np.random.default_rng(0).normal(size=(90, 7)).astype(np.float32)


def cluster_a_share(rank, folder):
    share = points()[:35] if rank == 0 else points()[35:]
    result = TorchKMeans(**SETTINGS).fit(share, sharded=True)
    np.savez(
        f"{folder}/{rank}.npz",
        centroids=result.centroids,
        assignments=result.assignments,
        objective=result.objective,
    )
