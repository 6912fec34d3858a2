"""The small files of a work dir that the report is made of. Absent ones are None."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.files import read_json

__all__ = ["Clustering", "Threshold", "read_clustering", "read_object", "read_threshold"]

_ADVICE = "remove done.json beside it and run with --resume: what is damaged is made anew"


@dataclass(frozen=True)
class Threshold:
    """How foreground is told from 'other'.

    Attributes:
        value: of the mean attention, in [0, 1].
        method: how it was found, such as 'validation mIoU' or 'Otsu'.
        thresholds: that were tried.
        scores: of each of them.
        score_name: what the scores are.
    """

    value: float
    method: str
    thresholds: list[float]
    scores: list[float]
    score_name: str

    @property
    def without_labels(self) -> bool:
        """Whether no mask was looked at."""
        return "otsu" in self.method.lower()


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


def read_threshold(path: Path) -> Threshold | None:
    """Read ``threshold.json``.

    Raises:
        LussError: if a key is missing or does not fit.
    """
    content = read_object(path)
    if content is None:
        return None
    try:
        curve = content.get("curve") or {}
        threshold = Threshold(
            value=float(content["threshold"]),
            method=str(content["method"]),
            thresholds=[float(value) for value in curve.get("thresholds", [])],
            scores=[float(value) for value in curve.get("values", [])],
            score_name=str(curve.get("name", "score")),
        )
        if not 0 <= threshold.value <= 1:
            raise ValueError(f"the threshold is {threshold.value}, not in 0..1")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LussError(
            f"{path} does not hold 'threshold', 'method' and 'curve' as expected "
            f"({type(error).__name__}: {error}); {_ADVICE}"
        ) from error
    if len(threshold.thresholds) != len(threshold.scores):
        raise LussError(
            f"the curve in {path} has {len(threshold.thresholds)} thresholds, but "
            f"{len(threshold.scores)} values"
        )
    return threshold


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
    try:
        with np.load(path, allow_pickle=False) as arrays:
            assignments, num_categories = arrays["assignments"], len(arrays["centroids"])
    except Exception as error:  # zipfile, zlib and numpy raise many kinds
        raise LussError(
            f"cannot read centroids and assignments from {path}: {error}; {_ADVICE}"
        ) from error
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
