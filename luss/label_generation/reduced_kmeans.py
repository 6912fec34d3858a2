"""K-means of embeddings in their principal components, for features of pretrained backbones."""

import numpy as np
import torch
import torch.nn.functional as F

from luss.errors import LussError
from luss.label_generation.kmeans import (
    Features,
    KMeans,
    KMeansResult,
    nearest_centroids,
    normalised_blocks,
)
from luss.label_generation.principal_components import principal_components
from luss.registry import LABEL_GENERATORS

__all__ = ["ReducedKMeans"]

_BLOCK_ROWS = 1 << 14


@LABEL_GENERATORS.register_module()
class ReducedKMeans(KMeans):
    """K-means of the directions of embeddings from their mean, in the largest principal components.

    L2-normalised embeddings x are reduced to r = W (x - mean), which another generator clusters
    at unit length. With m_c, the directions of its centroids, the result is ``mean + s W^T m_c``.
    The nearest of these to x has the largest cosine of m_c to r, for any s > 0: so all that compare
    embeddings with centroids by distance assign them in the reduced space, exactly. Here s is the
    mean length of r, which makes the result close to the clusters' means.

    Args:
        num_clusters: C, the number of categories to discover.
        dimensions: number of principal components; all if embeddings have fewer values.
        generator: config of the generator that clusters in the reduced space.
        seed: of the generator.

    Raises:
        LussError: if ``dimensions`` is not positive.
    """

    def __init__(
        self,
        num_clusters: int,
        dimensions: int = 64,
        generator: dict | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(num_clusters, iterations=1, restarts=1, seed=seed)
        if dimensions < 1:
            raise LussError(f"ReducedKMeans: dimensions is {dimensions}, expected 1 or more")
        self.dimensions = dimensions
        filled = {"type": "FaissKMeans", "num_clusters": num_clusters, "seed": seed}
        self.generator = LABEL_GENERATORS.build({**filled, **(generator or {})})

    @torch.no_grad()
    def fit(self, features: Features, *, sharded: bool = False) -> KMeansResult:
        """Cluster embeddings, see :meth:`KMeans.fit`; ``sharded`` must be False."""
        if sharded:
            raise LussError("ReducedKMeans runs in one process, found sharded=True; pass all rows")
        self.check(features, total=len(features))
        dimensions = min(self.dimensions, features.shape[1])
        blocks = (block for _, block in normalised_blocks(features, _BLOCK_ROWS, "cpu"))
        mean, components = (found.float() for found in principal_components(blocks, dimensions))
        reduced = np.empty((len(features), dimensions), np.float32)
        for place, block in normalised_blocks(features, _BLOCK_ROWS, "cpu"):
            reduced[place] = ((block - mean) @ components.T).numpy()
        found = torch.from_numpy(self.generator.fit(reduced).centroids)
        scale = float(np.linalg.norm(reduced, axis=1).mean())
        centroids = (mean + scale * F.normalize(found, dim=1) @ components).numpy()
        assignments, distances = nearest_centroids(features, centroids)
        return KMeansResult(centroids, float(distances.sum(dtype=np.float64)), assignments)
