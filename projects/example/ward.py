"""A label generator: agglomerative clustering (Ward, JASA 1963), by scipy."""

import numpy as np
from scipy.cluster.hierarchy import cut_tree, linkage

from luss.errors import LussError
from luss.label_generation import KMeansResult
from luss.registry import LABEL_GENERATORS

__all__ = ["WardClusters"]


@LABEL_GENERATORS.register_module()
class WardClusters:
    """Joins, step by step, the two clusters whose union adds least to the squared distances.

    Nothing is random. All pairs of images are compared: for some ten thousand of them, not more.

    Args:
        num_clusters: C, the number of categories to discover.
        seed: without effect; every label generator is given one.
    """

    def __init__(self, num_clusters: int, seed: int = 0) -> None:
        self.num_clusters = num_clusters

    def fit(self, features: np.ndarray, *, sharded: bool = False) -> KMeansResult:
        """Cluster (N, L) embeddings, normalised here; see :meth:`luss.label_generation.KMeans.fit`.

        Raises:
            LussError: if there are fewer images than clusters, or only a share of the images.
        """
        if sharded or len(features) < self.num_clusters:
            raise LussError(
                f"WardClusters needs all images, and at least {self.num_clusters}; it was given "
                f"{len(features)}{' of this process alone' if sharded else ''}"
            )
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        points = np.asarray(features / np.maximum(lengths, 1e-12), np.float32)
        assignments = cut_tree(linkage(points, "ward"), self.num_clusters)[:, 0].astype(np.int64)
        centroids = np.stack(
            [points[assignments == cluster].mean(axis=0) for cluster in range(self.num_clusters)]
        )
        objective = float(np.square(points - centroids[assignments]).sum())
        return KMeansResult(centroids, objective, assignments)
