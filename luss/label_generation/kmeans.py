"""What every k-means back end of step 2.2 (PASS, section 4.3) has in common.

Image embeddings are L2-normalised, then clustered by Euclidean distance into C centroids that are
not normalised themselves. Restarts from random images guard against poor local optima; the one
with the smallest sum of squared distances is kept.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from luss.errors import LussError

__all__ = ["Features", "KMeans", "KMeansResult", "assign", "nearest_centroids", "normalised_blocks"]

Features = NDArray[np.floating] | Tensor
"""(N, L) embeddings: an array, a memory-mapped file, or a tensor on any device."""

_BLOCK_ELEMENTS = 1 << 24


@dataclass(frozen=True)
class KMeansResult:
    """A clustering of image embeddings.

    Attributes:
        centroids: (C, L) float32, in the space of L2-normalised embeddings, not normalised.
        objective: sum over all images of the squared distance to their centroid.
        assignments: (N,) int64 in 0..C-1, the nearest centroid of each image (of this rank's
            images if sharded).
    """

    centroids: NDArray[np.float32]
    objective: float
    assignments: NDArray[np.int64]


class KMeans(ABC):
    """A k-means label generator: embeddings in, centroids and assignments out.

    Args:
        num_clusters: C, the number of categories to discover.
        iterations: assignment and update, this many times.
        restarts: independent runs from different images; the best is kept.
        seed: the same seed gives the same result on the same machine.
    """

    can_shard: ClassVar[bool] = False
    """Whether several processes can cluster together, each with a share of the images."""

    def __init__(self, num_clusters: int, iterations: int = 20, restarts: int = 30, seed: int = 0):
        settings = {"num_clusters": num_clusters, "iterations": iterations, "restarts": restarts}
        for name, value in settings.items():
            if value < 1:
                raise LussError(f"k-means: {name} is {value}, expected 1 or more")
        self.num_clusters = num_clusters
        self.iterations = iterations
        self.restarts = restarts
        self.seed = seed

    @abstractmethod
    def fit(self, features: Features, *, sharded: bool = False) -> KMeansResult:
        """Cluster embeddings.

        Args:
            features: (N, L) floating point, not normalised.
            sharded: ``features`` are only this rank's share; all ranks of ``torch.distributed``
                cluster the concatenation of their shares (in the order of ranks) together.

        Returns:
            The best of all restarts; the same centroids on every rank.

        Raises:
            LussError: if there are fewer images than clusters, or NaN among the features.
        """

    def check(self, features: Features, total: int) -> None:
        """Refuse features of a wrong shape, and fewer images in ``total`` than clusters."""
        if features.ndim != 2 or features.shape[1] == 0:
            raise LussError(
                f"k-means: the features have shape {tuple(features.shape)}, expected (N, L)"
            )
        if total < self.num_clusters:
            raise LussError(
                f"k-means: {total} images cannot form {self.num_clusters} clusters; give more "
                "images or set fewer clusters (num_clusters)"
            )


def normalised_blocks(
    features: Features, rows: int, device: torch.device | str
) -> Iterator[tuple[slice, Tensor]]:
    """Stream L2-normalised embeddings; only one block is in memory at a time.

    Args:
        features: (N, L) floating point; NumPy arrays may be memory-mapped.
        rows: rows of a block.
        device: where the blocks are put.

    Yields:
        The rows' place and the rows, (B, L) float32. Zero rows stay zero.
    """
    for start in range(0, len(features), rows):
        place = slice(start, min(start + rows, len(features)))
        block = features[place]
        if not isinstance(block, Tensor):
            block = torch.from_numpy(np.array(block, dtype=np.float32))
        yield place, F.normalize(block.to(device, torch.float32), dim=1)


def nearest_centroids(
    features: Features, centroids: NDArray[np.float32] | Tensor, device: torch.device | str = "cpu"
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The centroid of smallest Euclidean distance to each L2-normalised embedding.

    Args:
        features: (N, L) floating point, normalised here; streamed in blocks.
        centroids: (C, L), used as they are.
        device: where to compute.

    Returns:
        Ids (N,) int64 in 0..C-1 (the lowest on a tie) and squared distances (N,) float32.
    """
    if features.ndim != 2 or features.shape[1] != centroids.shape[1]:
        raise LussError(
            f"features of shape {tuple(features.shape)} cannot be assigned to centroids of shape "
            f"{tuple(centroids.shape)}; both must come from the same backbone"
        )
    centroids = torch.as_tensor(centroids, dtype=torch.float32, device=device)
    half_squares = centroids.square().sum(dim=1) / 2
    rows = max(1, _BLOCK_ELEMENTS // max(centroids.shape))
    ids = np.empty(len(features), np.int64)
    distances = np.empty(len(features), np.float32)
    for place, block in normalised_blocks(features, rows, device):
        best, nearest = torch.addmm(half_squares, block, centroids.T, alpha=-1).min(dim=1)
        ids[place] = nearest.cpu().numpy()
        squares = block.square().sum(dim=1) + 2 * best
        distances[place] = squares.clamp_min(0).cpu().numpy()
    return ids, distances


def assign(
    features: Features, centroids: NDArray[np.float32] | Tensor, device: torch.device | str = "cpu"
) -> NDArray[np.int64]:
    """The ids that :func:`nearest_centroids` finds: (N,) int64 in 0..C-1."""
    return nearest_centroids(features, centroids, device)[0]
