"""The order of an epoch's samples, which can be entered in its middle."""

import math
from collections.abc import Iterator, Sequence, Sized

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from luss.errors import LussError
from luss.ranks import own_share
from luss.registry import DATA_SAMPLERS

__all__ = ["EpochSampler", "ShareSampler", "refuse_empty"]


def refuse_empty(dataset: Sized) -> None:
    """Refuse a data set without samples.

    Raises:
        LussError: naming its class.
    """
    if len(dataset) == 0:
        raise LussError(
            f"{type(dataset).__name__} holds no samples, at least one was expected; check "
            "its data_root"
        )


@DATA_SAMPLERS.register_module()
class EpochSampler(Sampler):
    """As MMEngine's ``DefaultSampler``, but yields draws and can pass over an epoch's beginning.

    A draw ``epoch * len(dataset) + index`` tells the data set both what to load and in which
    epoch, so that it can seed all augmentation by (seed, epoch, index): a run that goes on in the
    middle of an epoch then sees what an undisturbed one sees.

    Args:
        dataset: of N samples.
        shuffle: draw a new order each epoch.
        seed: of the order, equal on all ranks; drawn and shared among them if None.
        round_up: repeat samples until every rank has equally many.

    Attributes:
        start: samples of this rank that the next iteration passes over; 0 again once it began,
            so that the epochs after a resumed one are whole.

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
        refuse_empty(dataset)
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
        """Draws of this rank, from ``start`` on."""
        length, start = len(self.dataset), min(self.start, self.num_samples)
        self.start = 0
        # Positions beyond the end begin again at the front.
        positions = torch.arange(start, self.num_samples) * self.world_size + self.rank
        indices = positions % length
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            indices = torch.randperm(length, generator=generator)[indices]
        return iter((indices + self.epoch * length).tolist())

    def __len__(self) -> int:
        """Number of this rank's samples in a whole epoch, whatever ``start`` is."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the zero-based epoch of the next iteration."""
        self.epoch = epoch


@DATA_SAMPLERS.register_module()
class ShareSampler(Sampler):
    """Every sample once, in order: each process gets a contiguous share of its own.

    MMEngine's ``DefaultSampler`` gives processes every n-th sample and repeats some of them, so
    that neither rows of a file nor sums of counts would come out right.

    Args:
        dataset: of N samples.
        seed: without effect; MMEngine gives one to every sampler.
        most: instead of all samples, at most this many, spread evenly from the first on.

    Attributes:
        indices: of the samples that the next iterations give, at first the whole share; may be set.
    """

    def __init__(self, dataset: Sized, seed: int | None = None, most: int | None = None) -> None:
        self.dataset = dataset
        total = len(dataset)
        count = total if most is None else min(most, total)
        self.indices: Sequence[int] = [place * total // count for place in own_share(count)]

    def __iter__(self) -> Iterator[int]:
        """Indices of this process."""
        return iter(self.indices)

    def __len__(self) -> int:
        """Number of samples of this process."""
        return len(self.indices)
