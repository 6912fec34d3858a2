"""The small files of a work dir that the report is made of. Absent ones are None."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.files import read_arrays, read_json
from luss.label_generation.threshold_file import Threshold, read_threshold

__all__ = ["Clustering", "Threshold", "read_clustering", "read_object", "read_threshold"]


@dataclass(frozen=True)
class Clustering:
    """The discovered categories of the training images.

    Attributes:
        num_categories: G; generated ids are 1..G.
        assignments: (N,) int64 in 0..G-1, the generated id less one, in data-set order.
    """

    num_categories: int
    assignments: NDArray[np.int64]


def read_object(path: Path) -> dict[str, Any] | None:
    """Read a JSON file that holds an object.

    Raises:
        LussError: if there is a file, but it is damaged or holds something else.
    """
    if not path.exists():
        return None
    return read_json(path)


def read_clustering(path: Path, num_images: int) -> Clustering | None:
    """Read ``centroids.npz``.

    Args:
        path: the file.
        num_images: N, the length of the data set that was clustered.

    Raises:
        LussError: if the file is damaged or belongs to another data set.
    """
    if not path.exists():
        return None
    centroids, assignments = read_arrays(path, "centroids", "assignments")
    num_categories = len(centroids)
    if assignments.shape != (num_images,):
        raise LussError(
            f"{path} assigns {assignments.size} images, but the training data set has "
            f"{num_images}; give the data set that was clustered, or run label_generation again"
        )
    if num_images and not 0 <= assignments.min() <= assignments.max() < num_categories:
        raise LussError(
            f"{path} assigns images to {assignments.min()}..{assignments.max()}, but has "
            f"{num_categories} centroids"
        )
    return Clustering(num_categories, assignments.astype(np.int64, copy=False))
