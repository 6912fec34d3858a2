"""The small files of a work dir that the report is made of. Absent ones are None."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.files import read_arrays, read_json
from luss.label_generation.threshold_file import Threshold, read_threshold

__all__ = [
    "Clustering",
    "Threshold",
    "read_clustering",
    "read_embeddings",
    "read_object",
    "read_threshold",
]

_ADVICE = (
    "put the file back that the run wrote, or remove it and done.json beside it and run with "
    "--resume, which makes it again"
)


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
    if centroids.ndim != 2 or centroids.dtype.kind != "f" or assignments.dtype.kind not in "iu":
        raise LussError(
            f"{path} holds centroids {_said(centroids)} and assignments {_said(assignments)}, "
            f"expected floats (C, L) and integers (N,); {_ADVICE}"
        )
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


def read_embeddings(path: Path, num_images: int, length: int) -> NDArray[np.floating]:
    """Read ``embeddings.npy``, as a memory map.

    Args:
        path: the file.
        num_images: N, the images that were clustered.
        length: L, of a centroid.

    Returns:
        (N, L), or (N, P, L) for P vectors of an image.

    Raises:
        LussError: if the file is missing, damaged, or of other shape or type.
    """
    try:
        embeddings = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise LussError(f"cannot read {path}: {error}; {_ADVICE}") from error
    fits = embeddings.ndim in (2, 3) and embeddings.dtype.kind == "f"
    if not fits or (len(embeddings), embeddings.shape[-1]) != (num_images, length):
        raise LussError(
            f"{path} holds {_said(embeddings)}, expected floats ({num_images}, {length}) or "
            f"({num_images}, P, {length}), as many rows as there are clustered photos; {_ADVICE}"
        )
    return embeddings


def _said(array: NDArray) -> str:
    return f"{array.dtype} {array.shape}"
