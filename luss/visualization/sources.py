"""Readers of a work dir's small files for the report; they return None for missing files."""

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
    "Restore the file, or delete it and done.json in its folder and run with --resume to recompute "
    "it"
)


@dataclass(frozen=True)
class Clustering:
    """The discovered categories of the training images.

    Attributes:
        num_categories: G; generated ids are 1..G.
        assignments: (N,) int64 in 0..G-1, the generated id minus one, in data-set order.
    """

    num_categories: int
    assignments: NDArray[np.int64]


def read_object(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; return None if the file is missing.

    Raises:
        LussError: if the file is damaged or not an object.
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
            f"{path} contains centroids {_kind(centroids)} and assignments {_kind(assignments)}, "
            f"expected floats (C, L) and integers (N,). {_ADVICE}"
        )
    num_categories = len(centroids)
    if assignments.shape != (num_images,):
        raise LussError(
            f"{path} assigns {assignments.size} images, but the training data set has "
            f"{num_images}. Give the data set that was clustered, or run label_generation again"
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
        raise LussError(f"cannot read {path}: {error}. {_ADVICE}") from error
    fits = embeddings.ndim in (2, 3) and embeddings.dtype.kind == "f"
    if not fits or (len(embeddings), embeddings.shape[-1]) != (num_images, length):
        raise LussError(
            f"{path} contains {_kind(embeddings)}, expected floats ({num_images}, {length}) or "
            f"({num_images}, P, {length}), a row for each clustered photo. {_ADVICE}"
        )
    return embeddings


def _kind(array: NDArray) -> str:
    return f"{array.dtype} {array.shape}"
