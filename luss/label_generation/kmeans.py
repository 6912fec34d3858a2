"""Base class and common functions of the k-means back ends of step 2.2 (PASS, section 4.3).

Image embeddings are L2-normalised, then clustered by Euclidean distance into C centroids, which are
not normalised. Of several restarts from random images, the one with the smallest sum of squared
distances is kept.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from luss.errors import LussError

__all__ = ["Features", "KMeans", "KMeansResult", "nearest_centroids", "normalised_blocks"]

Features = NDArray[np.floating] | Tensor
"""(N, L) embeddings: an array, a memory-mapped file, or a tensor on any device."""


class Rows(Protocol):
    """Rows that are read block by block, such as ``Features``."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: slice, /) -> Any: ...


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
        iterations: number of assignments and updates.
        restarts: number of runs from different images; the best is kept.
        seed: the same seed gives the same result on the same machine.
    """

    can_shard: ClassVar[bool] = False
    """Whether several processes can cluster jointly, each with a share of the images."""

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
                jointly cluster the concatenation of their shares, in the order of ranks.

        Returns:
            The best of all restarts; the same centroids on every rank.

        Raises:
            LussError: if there are fewer images than clusters, or features contain NaN.
        """

    def check(self, features: Features, total: int) -> None:
        """Check the shape of features, and that there are enough images in ``total``."""
        if features.ndim != 2 or features.shape[1] == 0:
            raise LussError(
                f"k-means: the features have shape {tuple(features.shape)}, expected (N, L)"
            )
        if total < self.num_clusters:
            raise LussError(
                f"k-means: {total} images cannot form {self.num_clusters} clusters; add images or "
                "lower num_clusters"
            )


def normalised_blocks(
    features: Rows, rows: int, device: torch.device | str
) -> Iterator[tuple[slice, Tensor]]:
    """Stream L2-normalised embeddings; only one block is in memory at a time.

    Args:
        features: (N, L) floating point; NumPy arrays may be memory-mapped.
        rows: rows per block.
        device: of the blocks.

    Yields:
        Slice of the rows and the rows, (B, L) float32. Zero rows remain zero.
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
    """Find the centroid of smallest Euclidean distance to each L2-normalised embedding.

    Args:
        features: (N, L) floating point, normalised here; streamed in blocks.
        centroids: (C, L), not normalised here.
        device: of the computation.

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
