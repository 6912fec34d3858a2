"""Given centroids, such as the released ones, instead of a clustering."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.label_generation.kmeans import Features, KMeans, KMeansResult, nearest_centroids
from luss.registry import LABEL_GENERATORS

__all__ = ["GivenCentroids", "read_centroids"]


def read_centroids(path: str | Path) -> NDArray[np.float32]:
    """Read centroids (C, L) float32 from a ``.npy``, or from ``centroids`` in a ``.npz``.

    Raises:
        LussError: if the file is missing or invalid.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise LussError(f"the file of centroids {path} is missing; give the path of a .npy or .npz")
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            centroids = found["centroids"] if isinstance(found, np.lib.npyio.NpzFile) else found
    except (OSError, MemoryError):
        raise
    except Exception as error:  # zipfile, zlib and numpy raise many kinds of exceptions
        raise LussError(
            f"cannot read centroids from {path}: {' '.join(str(error).split())}; expected an array "
            "(C, L) as .npy, or .npz with the key 'centroids'"
        ) from error
    if centroids.ndim != 2 or not np.issubdtype(centroids.dtype, np.floating):
        raise LussError(
            f"{path} contains {centroids.dtype} of shape {centroids.shape}, expected "
            "floating-point centroids (C, L)"
        )
    if not np.isfinite(centroids).all():
        raise LussError(f"{path} contains centroids that are not finite; recreate the file")
    return centroids.astype(np.float32)


@LABEL_GENERATORS.register_module()
class GivenCentroids(KMeans):
    """Assignment of each image to the nearest of given centroids, without clustering.

    The centroids must come from the backbone and pixel attention of the embeddings, such as the
    released ``centroids.npy``.

    Args:
        file: ``.npy`` (C, L), or ``.npz`` with ``centroids``, as written by ``label_generation``.
        num_clusters: C, the number of categories.
        seed: ignored, since nothing is random.

    Raises:
        LussError: if the file does not contain C centroids.
    """

    def __init__(self, file: str, num_clusters: int, seed: int = 0) -> None:
        super().__init__(num_clusters, iterations=1, restarts=1, seed=seed)
        self.file = str(file)
        self.centroids = read_centroids(file)
        if len(self.centroids) != num_clusters:
            raise LussError(
                f"{file} contains {len(self.centroids)} centroids, but there are {num_clusters} "
                f"categories; set num_categories={len(self.centroids)}, or give another file"
            )

    def fit(self, features: Features, *, sharded: bool = False) -> KMeansResult:
        """Assign embeddings, see :meth:`KMeans.fit`; ``sharded`` makes no difference.

        Raises:
            LussError: if the embeddings have another length than the centroids.
        """
        if features.ndim != 2 or features.shape[1] != self.centroids.shape[1]:
            raise LussError(
                f"embeddings of shape {tuple(features.shape)} do not fit the centroids "
                f"{self.centroids.shape} of {self.file}; give centroids of this backbone"
            )
        assignments, distances = nearest_centroids(features, self.centroids)
        return KMeansResult(self.centroids, float(distances.sum()), assignments)
