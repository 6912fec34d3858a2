"""Spectral clustering of embeddings: groups that are connected by nearest neighbours.

K-means prefers clusters of equal size and depends on its start. Categories of photos differ in
size, so it splits large ones and joins small ones; see ``benchmarks/RESULTS.md`` for a comparison.
"""

import warnings

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import SpectralClustering

from luss.errors import LussError
from luss.label_generation.kmeans import (
    Features,
    KMeans,
    KMeansResult,
    nearest_centroids,
    normalised_blocks,
)
from luss.registry import LABEL_GENERATORS

__all__ = ["SpectralClusters"]

_BLOCK_ROWS = 1 << 14


@LABEL_GENERATORS.register_module()
class SpectralClusters(KMeans):
    """Normalised cut of the graph of nearest neighbours, for up to some 10,000 images.

    Each L2-normalised embedding is linked with its nearest ones. The eigenvectors of the graph's
    normalised Laplacian (Ng et al., 2002) are assigned by a pivoted QR decomposition (Damle et al.,
    2019), which needs no random start: unlike k-means, the result hardly depends on the seed. The
    centroids are the means of the clusters; images are assigned to the nearest centroid, as all
    readers of centroids do, so a few change their cluster. The centroid of an empty cluster is the
    image farthest from its own centroid.

    Args:
        num_clusters: C, the number of categories to discover.
        neighbours: links of each image, itself included. More links join small categories.
        seed: of the eigenvectors' start.

    Raises:
        LussError: if ``neighbours`` is less than 2.
    """

    def __init__(self, num_clusters: int, neighbours: int = 10, seed: int = 0) -> None:
        super().__init__(num_clusters, iterations=1, restarts=1, seed=seed)
        if neighbours < 2:
            raise LussError(f"SpectralClusters: neighbours is {neighbours}, expected 2 or more")
        self.neighbours = neighbours

    def fit(self, features: Features, *, sharded: bool = False) -> KMeansResult:
        """Cluster embeddings, see :meth:`KMeans.fit`; ``sharded`` must be False."""
        if sharded:
            raise LussError(
                "SpectralClusters runs in one process, found sharded=True; pass all rows"
            )
        self.check(features, total=len(features))
        points = torch.cat([block for _, block in normalised_blocks(features, _BLOCK_ROWS, "cpu")])
        if not points.isfinite().all():
            raise LussError(
                "SpectralClusters: NaN or infinite values in the embeddings; check the backbone's "
                "checkpoint"
            )
        clusters = torch.from_numpy(self._cut(points.numpy()))
        members = F.one_hot(clusters, self.num_clusters).T.float()
        sizes = members.sum(dim=1)
        centroids = members @ points / sizes[:, None].clamp_min(1)
        if empty := (sizes == 0).nonzero()[:, 0].tolist():
            apart = (points - centroids[clusters]).square().sum(dim=1)
            centroids[empty] = points[apart.topk(len(empty)).indices]
        assignments, distances = nearest_centroids(points, centroids)
        objective = float(distances.sum(dtype=np.float64))
        return KMeansResult(centroids.numpy(), objective, assignments)

    def _cut(self, points: np.ndarray) -> np.ndarray:
        """Return the cluster (N,) int64 of each point (N, L)."""
        if len(points) == self.num_clusters:
            return np.arange(len(points))
        method = SpectralClustering(
            self.num_clusters,
            affinity="nearest_neighbors",
            n_neighbors=min(self.neighbours, len(points)),
            assign_labels="cluster_qr",
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            # Separate components of the graph are clusters.
            warnings.filterwarnings("ignore", "Graph is not fully connected")
            return method.fit_predict(points).astype(np.int64)
