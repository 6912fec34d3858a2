"""K-means by faiss, as in the released PASS code, but seeded (section 4.3, step 2.2)."""

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.label_generation.kmeans import (
    Features,
    KMeans,
    KMeansResult,
    nearest_centroids,
    normalised_blocks,
)
from luss.registry import LABEL_GENERATORS

__all__ = ["FaissKMeans"]

_BLOCK_ROWS = 1 << 14


@LABEL_GENERATORS.register_module()
class FaissKMeans(KMeans):
    """K-means by faiss, in one process, on the CPU or on all GPUs available to faiss.

    faiss needs one float32 array, so this back end makes a normalised copy of N * L * 4 bytes. Use
    ``TorchKMeans`` if that does not fit, or if several ranks hold the images. All images are used
    (faiss by default samples 256 per centroid). faiss splits a large cluster for each empty one.

    Args:
        num_clusters: C, the number of categories to discover.
        iterations: number of assignments and updates.
        restarts: number of runs from different images; the best is kept.
        seed: the same seed gives the same result on the same machine.
        gpu: use faiss' GPU indexes (needs faiss-gpu).
    """

    def __init__(
        self,
        num_clusters: int,
        iterations: int = 20,
        restarts: int = 30,
        seed: int = 0,
        gpu: bool = False,
    ):
        super().__init__(num_clusters, iterations, restarts, seed)
        self.gpu = gpu

    def fit(self, features: Features, *, sharded: bool = False) -> KMeansResult:
        """Cluster embeddings, see :meth:`KMeans.fit`; ``sharded`` must be False."""
        faiss = _import_faiss()
        if sharded:
            raise LussError("FaissKMeans runs in one process; use TorchKMeans for several ranks")
        if self.gpu and not getattr(faiss, "get_num_gpus", int)():
            raise LussError("FaissKMeans: gpu=True, but faiss finds no GPU; install luss[gpu]")
        self.check(features, total=len(features))
        points = _normalised_copy(features)
        kmeans = faiss.Kmeans(
            points.shape[1],
            self.num_clusters,
            niter=self.iterations,
            nredo=self.restarts,
            seed=self.seed,
            spherical=False,
            min_points_per_centroid=1,
            max_points_per_centroid=len(points),
            gpu=self.gpu,
        )
        kmeans.train(points)
        assignments, distances = nearest_centroids(points, kmeans.centroids)
        objective = float(distances.sum(dtype=np.float64))
        return KMeansResult(kmeans.centroids, objective, assignments)


def _normalised_copy(features: Features) -> NDArray[np.float32]:
    points = np.empty(features.shape, np.float32)
    for place, block in normalised_blocks(features, _BLOCK_ROWS, "cpu"):
        points[place] = block.numpy()
        if not np.isfinite(points[place]).all():
            raise LussError(
                f"k-means: NaN or infinite features among images {place.start} to "
                f"{place.stop - 1}; check the backbone's checkpoint"
            )
    return points


def _import_faiss():
    try:
        import faiss
    except ImportError as error:
        raise LussError(
            "FaissKMeans needs faiss: pip install 'luss[cpu]' (or 'luss[gpu]'), "
            "or choose TorchKMeans"
        ) from error
    return faiss
