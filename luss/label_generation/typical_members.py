"""Typical images of discovered categories: those nearest to the centroid."""

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError

__all__ = ["distances_to_centroids", "members_by_distance"]

_ROWS_AT_A_TIME = 2048


def distances_to_centroids(
    embeddings: NDArray[np.float32],
    centroids: NDArray[np.float32],
    assignments: NDArray[np.int64],
    rows_at_a_time: int = _ROWS_AT_A_TIME,
) -> NDArray[np.float32]:
    """Compute the Euclidean distance of each image to its centroid.

    Args:
        embeddings: (N, L), may be a memory map; or (N, P, L), with distances averaged over the P
            vectors.
        centroids: (C, L).
        assignments: (N,) in 0..C-1.
        rows_at_a_time: images in memory at a time.

    Returns:
        (N,) float32.

    Raises:
        LussError: if the shapes do not fit.
    """
    fits = len(embeddings) == len(assignments) and embeddings.shape[-1] == centroids.shape[1]
    if embeddings.ndim not in (2, 3) or not fits:
        raise LussError(
            f"embeddings of shape {embeddings.shape} do not fit {len(assignments)} assignments to "
            f"centroids of shape {centroids.shape}"
        )
    distances = np.empty(len(assignments), np.float32)
    for start in range(0, len(assignments), rows_at_a_time):
        rows = slice(start, start + rows_at_a_time)
        vectors = np.asarray(embeddings[rows])
        of_rows = centroids[assignments[rows]]
        if vectors.ndim == 3:
            of_rows = of_rows[:, None]
        lengths = np.linalg.norm(vectors - of_rows, axis=-1)
        distances[rows] = lengths.reshape(len(lengths), -1).mean(axis=1)
    return distances


def members_by_distance(
    assignments: NDArray[np.int64], distances: NDArray[np.floating], num_categories: int
) -> list[NDArray[np.int64]]:
    """List the images of each category, the nearest to its centroid first.

    Args:
        assignments: (N,) in 0..C-1.
        distances: (N,).
        num_categories: C.

    Returns:
        C arrays of indices in 0..N-1; on a tie, the lowest index first.
    """
    order = np.lexsort((distances, assignments))
    sizes = np.bincount(assignments, minlength=num_categories)
    return np.split(order, np.cumsum(sizes)[:-1])
