"""K-means by PyTorch: streamed, on any device, over several ranks (section 4.3, step 2.2)."""

import math
from dataclasses import dataclass

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.kmeans import (
    Features,
    KMeans,
    KMeansResult,
    nearest_centroids,
    normalised_blocks,
)
from luss.registry import LABEL_GENERATORS

__all__ = ["TorchKMeans", "add_by_index", "add_by_product", "split_large_clusters"]

_BLOCK_ELEMENTS = 1 << 24
_SPLIT = 1 / 1024


@dataclass(frozen=True)
class _Shard:
    """This rank's rows and their position among the rows of all ranks."""

    features: Features
    offset: int
    total: int
    world: int

    @classmethod
    def of(cls, features: Features, sharded: bool, device: torch.device) -> "_Shard":
        world, rank = (get_world_size(), get_rank()) if sharded else (1, 0)
        sizes = torch.zeros(world, dtype=torch.int64, device=device)
        sizes[rank] = len(features)
        if world > 1:
            all_reduce(sizes)
        return cls(features, int(sizes[:rank].sum()), int(sizes.sum()), world)

    def add_over_ranks(self, *tensors: Tensor) -> None:
        """Sum tensors over all ranks, in place."""
        if self.world > 1:
            for tensor in tensors:
                all_reduce(tensor)


@LABEL_GENERATORS.register_module()
class TorchKMeans(KMeans):
    """Lloyd's k-means of all restarts at once, streaming the embeddings in blocks.

    All restarts share one pass over the embeddings per iteration, so a memory-mapped file is read
    ``iterations + 2`` times. Memory holds one block, and centroids and sums (restarts, C, L), but
    no copy of the embeddings.

    With several ranks, each holds a share of the images; sums and counts are added over ranks in
    float64. The result equals that of one process up to rounding.

    Large clusters are split for empty ones as in faiss, but deterministically, see
    :func:`split_large_clusters`.

    Args:
        num_clusters: C, the number of categories to discover.
        iterations: number of assignments and updates.
        restarts: number of runs from different images; the best is kept.
        seed: the same seed gives the same result on the same machine.
        device: of the computation; by default this rank's current GPU, or the CPU.
        block_elements: distances stored at a time, rows * restarts * C.
    """

    can_shard = True

    def __init__(
        self,
        num_clusters: int,
        iterations: int = 20,
        restarts: int = 30,
        seed: int = 0,
        device: str | None = None,
        block_elements: int = _BLOCK_ELEMENTS,
    ):
        super().__init__(num_clusters, iterations, restarts, seed)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.block_elements = block_elements

    @torch.no_grad()
    def fit(self, features: Features, *, sharded: bool = False) -> KMeansResult:
        """Cluster embeddings, see :meth:`KMeans.fit`."""
        shard = _Shard.of(features, sharded, self.device)
        self.check(features, shard.total)
        centroids = self._random_images(shard)
        for _ in range(self.iterations):
            sums, counts, objectives = self._scan(shard, centroids, update=True)
            _check_finite(objectives)
            means = (sums / counts.clamp_min(1)[..., None]).float()
            centroids = torch.where(counts[..., None] > 0, means, centroids)
            if (counts == 0).any():
                centroids = split_large_clusters(centroids, counts)
        objectives = self._scan(shard, centroids, update=False)[2]
        best = int(objectives.argmin())
        chosen = centroids[best]
        assignments, _ = nearest_centroids(features, chosen, self.device)
        return KMeansResult(chosen.cpu().numpy(), float(objectives[best]), assignments)

    def _random_images(self, shard: _Shard) -> Tensor:
        """Draw initial centroids (R, C, L): different random images for each restart."""
        generator = torch.Generator().manual_seed(self.seed)
        chosen = torch.stack(
            [
                torch.randperm(shard.total, generator=generator)[: self.num_clusters]
                for _ in range(self.restarts)
            ]
        ).flatten()
        centroids = torch.zeros(len(chosen), shard.features.shape[1], device=self.device)
        own = (chosen >= shard.offset) & (chosen < shard.offset + len(shard.features))
        places = own.nonzero().flatten()
        rows, back = torch.unique(chosen[places] - shard.offset, return_inverse=True)
        # Reading in the order of the file is faster if it is memory-mapped.
        wanted = _Rows(shard.features, rows)
        for block_place, block in normalised_blocks(wanted, self._rows_of_block, self.device):
            here = (back >= block_place.start) & (back < block_place.stop)
            index = (back[here] - block_place.start).to(self.device)
            centroids[places[here].to(self.device)] = block[index]
        shard.add_over_ranks(centroids)
        return centroids.view(self.restarts, self.num_clusters, -1)

    @property
    def _rows_of_block(self) -> int:
        return max(1, self.block_elements // (self.restarts * self.num_clusters))

    def _scan(
        self, shard: _Shard, centroids: Tensor, update: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Assign all embeddings once, for all restarts.

        Args:
            shard: the embeddings.
            centroids: (R, C, L) float32.
            update: also compute sums and counts.

        Returns:
            Sums (R, C, L) and counts (R, C) of the images nearest to each centroid, and objectives
            (R,); float64, over all ranks. Without ``update`` sums are empty and counts zero.
        """
        restarts, clusters, length = centroids.shape
        flat = centroids.view(-1, length)
        half_squares = flat.square().sum(dim=1) / 2
        sums = torch.zeros(
            flat.shape if update else (0, 0), dtype=torch.float64, device=flat.device
        )
        counts = torch.zeros(len(flat), dtype=torch.float64, device=flat.device)
        objectives = torch.zeros(restarts, dtype=torch.float64, device=flat.device)
        firsts = torch.arange(0, len(flat), clusters, device=flat.device)
        for _, block in normalised_blocks(shard.features, self._rows_of_block, flat.device):
            distances = torch.addmm(half_squares, block, flat.T, alpha=-1)
            best, nearest = distances.view(-1, restarts, clusters).min(dim=2)
            objectives += 2 * best.sum(dim=0, dtype=torch.float64)
            objectives += block.square().sum(dtype=torch.float64)
            if update and flat.device.type == "cpu":
                add_by_index(sums, counts, block, nearest + firsts)
            elif update:
                add_by_product(sums, counts, block, nearest + firsts, scratch=distances)
        shard.add_over_ranks(counts, objectives, *([sums] if update else []))
        sums = sums.view(restarts, clusters, -1) if update else sums
        return sums, counts.view(restarts, clusters), objectives


class _Rows:
    """Selected rows of features, read lazily."""

    def __init__(self, features: Features, rows: Tensor):
        self.features = features
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: slice) -> Features:
        rows = self.rows[place]
        if isinstance(self.features, Tensor):
            return self.features[rows.to(self.features.device)]
        return self.features[rows.numpy()]


def add_by_index(sums: Tensor, counts: Tensor, block: Tensor, nearest: Tensor) -> None:
    """Add rows to the sums and counts of their clusters, in place.

    Args:
        sums: (R * C, L) float64.
        counts: (R * C,) float64.
        block: (B, L) float32.
        nearest: (B, R) int64, the row of ``sums`` for each restart.
    """
    ones = torch.ones(len(block), dtype=counts.dtype, device=counts.device)
    precise = block.to(sums.dtype)
    for clusters in nearest.T:
        sums.index_add_(0, clusters, precise)
        counts.index_add_(0, clusters, ones)


def add_by_product(
    sums: Tensor, counts: Tensor, block: Tensor, nearest: Tensor, scratch: Tensor
) -> None:
    """Do the same as :func:`add_by_index` by a product with one-hot rows.

    On GPUs ``index_add_`` adds in random order, so results would not be reproducible.

    Args:
        sums: (R * C, L) float64.
        counts: (R * C,) float64.
        block: (B, L) float32.
        nearest: (B, R) int64.
        scratch: (B, R * C) float32, overwritten.
    """
    one_hot = scratch.zero_().scatter_(1, nearest, 1.0)
    sums += one_hot.T @ block
    counts += one_hot.sum(dim=0)


def split_large_clusters(centroids: Tensor, counts: Tensor) -> Tensor:
    """Replace empty clusters by halves of large ones.

    The i-th empty cluster gets a copy of the centroid of the i-th largest cluster; both are scaled
    by factors 1 +- 1/1024, alternating over channels (as in faiss).

    Args:
        centroids: (R, C, L) float32.
        counts: (R, C), images of each cluster.

    Returns:
        (R, C, L) centroids.
    """
    by_size = counts.argsort(dim=1, descending=True, stable=True)
    pairs = counts.shape[1] // 2
    donors, takers = by_size[:, :pairs], by_size.flip(1)[:, :pairs]
    split = (counts.gather(1, takers) == 0) & (counts.gather(1, donors) > 1)
    restart, pair = split.nonzero(as_tuple=True)
    donors, takers = donors[restart, pair], takers[restart, pair]
    sign = 1 - 2 * (torch.arange(centroids.shape[2], device=centroids.device) % 2)
    copied = centroids[restart, donors]
    centroids = centroids.clone()
    centroids[restart, takers] = copied * (1 + _SPLIT * sign)
    centroids[restart, donors] = copied * (1 - _SPLIT * sign)
    return centroids


def _check_finite(objectives: Tensor) -> None:
    if not math.isfinite(float(objectives.sum())):
        raise LussError(
            "k-means: features contain NaN or infinite values; check the backbone's checkpoint"
        )
