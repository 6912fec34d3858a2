"""Agreement of clusters with known classes: NMI and matched accuracy.

Logged after step 2.2 if image labels are available; they do not influence the method.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import mode

from luss.errors import LussError

__all__ = ["cluster_of_images", "matched_accuracy", "normalised_mutual_information"]


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


def normalised_mutual_information(assignments: ArrayLike, labels: ArrayLike) -> float:
    """Compute the mutual information over the mean of both entropies, I / ((H_a + H_b) / 2).

    Args:
        assignments: (N,) integers, any ids.
        labels: (N,) integers, any ids.

    Returns:
        0 (independent) to 1 (equal up to renaming); 1 if both have a single id.
    """
    joint = _contingency(assignments, labels) / np.size(labels)
    of_cluster, of_class = joint.sum(axis=1), joint.sum(axis=0)
    entropies = _entropy(of_cluster) + _entropy(of_class)
    if entropies == 0:
        return 1.0
    return float(np.clip(2 * (entropies - _entropy(joint.ravel())) / entropies, 0, 1))


def matched_accuracy(assignments: ArrayLike, labels: ArrayLike) -> float:
    """Compute the accuracy under the best one-to-one matching of clusters to classes (Hungarian).

    Args:
        assignments: (N,) integers, any ids; unmatched clusters count as wrong.
        labels: (N,) integers, any ids.

    Returns:
        0 to 1.
    """
    counts = _contingency(assignments, labels)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return float(counts[rows, columns].sum() / np.size(labels))


def _contingency(assignments: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """Count the images of each cluster (row) and class (column)."""
    assignments, labels = np.asarray(assignments), np.asarray(labels)
    if assignments.shape != labels.shape or assignments.ndim != 1 or assignments.size == 0:
        raise LussError(
            f"assignments have shape {assignments.shape} and labels {labels.shape}; expected one "
            "of each for every image"
        )
    clusters, row = np.unique(assignments, return_inverse=True)
    classes, column = np.unique(labels, return_inverse=True)
    shape = (len(clusters), len(classes))
    pairs = np.ravel_multi_index((row, column), shape)
    return np.bincount(pairs, minlength=len(clusters) * len(classes)).reshape(shape)


def _entropy(probabilities: NDArray[np.float64]) -> float:
    probabilities = probabilities[probabilities > 0]
    return float(-(probabilities * np.log(probabilities)).sum())
