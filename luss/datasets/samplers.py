"""Samplers that can resume within an epoch."""

import math
from collections.abc import Iterator, Sequence, Sized

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from luss.errors import LussError
from luss.ranks import own_share
from luss.registry import DATA_SAMPLERS

__all__ = ["EpochSampler", "ShareSampler", "require_samples"]


def require_samples(dataset: Sized) -> None:
    """Raise an error if a data set is empty."""
    if len(dataset) == 0:
        raise LussError(
            f"the data set {type(dataset).__name__} has no samples. Check its data_root"
        )


@DATA_SAMPLERS.register_module()
class EpochSampler(Sampler):
    """MMEngine's ``DefaultSampler`` that yields draws and can start within an epoch.

    A draw is ``epoch * len(dataset) + index``. It lets the data set seed augmentation by (seed,
    epoch, index), so a run resumed within an epoch sees the same samples as an uninterrupted run.

    Args:
        dataset: of N samples.
        shuffle: draw a new order each epoch.
        seed: of the order, equal on all ranks; drawn on rank 0 and broadcast if None.
        round_up: repeat samples until every rank has equally many.

    Attributes:
        start: samples of this rank that the next iteration skips; reset to 0 when it starts, so
            later epochs are complete.

    Raises:
        LussError: if the data set is empty.
    """

    yields_draws = True

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
    ) -> None:
        require_samples(dataset)
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.round_up = round_up
        self.epoch = 0
        self.start = 0
        if round_up:
            self.num_samples = math.ceil(len(dataset) / self.world_size)
        else:
            self.num_samples = math.ceil((len(dataset) - self.rank) / self.world_size)

    def __iter__(self) -> Iterator[int]:
        """Yield the draws of this rank, from ``start`` on."""
        length, start = len(self.dataset), min(self.start, self.num_samples)
        self.start = 0
        # Positions beyond the end wrap around.
        positions = torch.arange(start, self.num_samples) * self.world_size + self.rank
        indices = positions % length
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            indices = torch.randperm(length, generator=generator)[indices]
        return iter((indices + self.epoch * length).tolist())

    def __len__(self) -> int:
        """Return this rank's number of samples in a complete epoch, ignoring ``start``."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Set the zero-based epoch of the next iteration."""
        self.epoch = epoch


@DATA_SAMPLERS.register_module()
class ShareSampler(Sampler):
    """Sampler of every sample once, in order, with a contiguous share for each process.

    MMEngine's ``DefaultSampler`` interleaves processes and repeats samples, so rows of a file and
    sums of counts would be wrong.

    Args:
        dataset: of N samples.
        seed: no effect; MMEngine passes it to every sampler.
        most: largest number of samples, spread evenly from the first on; by default all.

    Attributes:
        indices: samples of the next iterations, initially the process's share; may be set.
    """

    def __init__(self, dataset: Sized, seed: int | None = None, most: int | None = None) -> None:
        self.dataset = dataset
        total = len(dataset)
        count = total if most is None else min(most, total)
        self.indices: Sequence[int] = [place * total // count for place in own_share(count)]

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of this process."""
        return iter(self.indices)

    def __len__(self) -> int:
        """Return the number of samples of this process."""
        return len(self.indices)
