"""Agreement of clusters with known classes.

Logged after step 2.2 if image labels are available; they do not influence the method.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import mode
from sklearn.metrics.cluster import contingency_matrix

__all__ = ["cluster_of_images", "matched_accuracy"]


def cluster_of_images(clusters: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the cluster of each image, the most frequent one if it has several vectors.

    Args:
        clusters: (N,) ids of images, or (N, P) of their P vectors.

    Returns:
        (N,) int64, the lowest on a tie.
    """
    if clusters.ndim == 1:
        return clusters.astype(np.int64)
    return mode(clusters, axis=1).mode.astype(np.int64)


def matched_accuracy(assignments: ArrayLike, labels: ArrayLike) -> float:
    """Compute the accuracy under the best one-to-one matching of clusters to classes (Hungarian).

    Args:
        assignments: (N,) integers, any ids; unmatched clusters count as wrong.
        labels: (N,) integers, any ids.

    Returns:
        0 to 1.
    """
    counts = contingency_matrix(labels, assignments)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return float(counts[rows, columns].sum() / np.size(labels))
