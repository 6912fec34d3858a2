"""The order of any sampler, which can be entered anywhere, in an epoch or in an endless one."""

import inspect
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

import numpy as np
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from luss.datasets.reproducible import get_states, seeded, set_states
from luss.datasets.samplers import refuse_empty
from luss.errors import LussError
from luss.registry import DATA_SAMPLERS

__all__ = ["ReproducibleSampler", "reproducible_sampler"]

_BLOCK = 256
"""Samples that are drawn under one seeding, which costs more than drawing one."""

_REPEAT = 1 << 32
"""Epochs apart: the same image drawn again in an epoch is a draw of an epoch that never comes."""


@DATA_SAMPLERS.register_module()
class ReproducibleSampler(Sampler):
    """Yields the samples of another sampler as draws, and can pass over the first of them.

    A draw is ``epoch * len(dataset) + index``, see :class:`luss.datasets.EpochSampler`. An image
    that a sampler gives several times in one epoch, as endless ones do and those that draw with
    replacement, is drawn by another number each time, so that its augmentation differs.

    The other sampler is built anew for each iteration, and seeded by (seed, epoch), also where it
    draws from the global generators of Python, numpy or torch: what it yields does not depend on
    what it yielded before. Samplers that know of several processes, by an attribute ``rank``,
    share the samples themselves; those of others are shared out here, in turns.

    Args:
        dataset: of N samples.
        sampler: config of any sampler that yields indices; ``dataset`` and ``seed`` are filled in
            where it takes them.
        seed: equal on all ranks; drawn and shared among them if None.

    Attributes:
        start: samples of this rank that the next iteration passes over; 0 again once it began.
        endless: whether it never ends: it has no length, or is MMEngine's ``InfiniteSampler``.

    Raises:
        LussError: if the data set is empty, or there is no such sampler.
    """

    yields_draws = True

    def __init__(self, dataset: Sized, sampler: Mapping[str, Any], seed: int | None = None) -> None:
        refuse_empty(dataset)
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.config = dict(sampler)
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.start = 0
        self._kind = _sampler_class(self.config.pop("type"))
        first = self._build()
        self._shares = hasattr(first, "rank")
        self._length = len(first) if hasattr(first, "__len__") else None
        self.endless = self._length is None or isinstance(first, InfiniteSampler)

    def _build(self) -> Iterable[int]:
        takes = inspect.signature(self._kind).parameters
        filled = {"dataset": self.dataset, "data_source": self.dataset, "seed": self.seed}
        given = {key: value for key, value in filled.items() if key in takes}
        with seeded(self.seed, self.epoch):
            sampler = self._kind(**{**given, **self.config})
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(self.epoch)
            return sampler

    def __iter__(self) -> Iterator[int]:
        """Draws of this rank, from ``start`` on."""
        start, self.start = self.start, 0
        return itertools.islice(self._draws(self.epoch), start, None)

    def __len__(self) -> int:
        """Number of this rank's samples in a whole epoch, whatever ``start`` is.

        Of an endless sampler without a length, that of the data set, as MMEngine's has it.
        """
        if self._length is None:
            return len(self.dataset)
        return self._length if self._shares else math.ceil(self._length / self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the zero-based epoch of the next iteration."""
        self.epoch = epoch

    def _draws(self, epoch: int) -> Iterator[int]:
        count = len(self.dataset)
        times = np.zeros(count, np.uint32)
        # Where ranks share by themselves, two of them may draw the same image at a time.
        step, first = (self.world_size, self.rank) if self._shares else (1, 0)
        draws = self._numbered(epoch, count, times, step, first)
        return draws if self._shares else self._share(draws)

    def _numbered(
        self, epoch: int, count: int, times: np.ndarray, step: int, first: int
    ) -> Iterator[int]:
        for index in self._indices():
            again = int(times[index]) * step + first
            times[index] += 1
            yield (again * _REPEAT + epoch) * count + index

    def _indices(self) -> Iterator[int]:
        """Indices of the other sampler, drawn in blocks from a random state of their own."""
        for block in _in_blocks(self._build(), self.seed, self.epoch):
            yield from map(int, block)

    def _share(self, draws: Iterator[int]) -> Iterator[int]:
        """Every world_size-th draw; at the end, the first ones fill up what ranks lack."""
        head: list[int] = []
        while turn := list(itertools.islice(draws, self.world_size)):
            head = head or turn
            missing = self.world_size - len(turn)
            turn += itertools.islice(itertools.cycle(head), missing)
            yield turn[self.rank]


def reproducible_sampler(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a sampler, wrapped in :class:`ReproducibleSampler` where it needs that.

    A class that yields draws by itself says so by ``yields_draws = True``.

    Args:
        config: of any sampler that yields indices.

    Raises:
        LussError: if its type is unknown.
    """
    if getattr(_sampler_class(config["type"]), "yields_draws", False):
        return dict(config)
    return {"type": "ReproducibleSampler", "sampler": dict(config)}


def _sampler_class(kind: str | type) -> type:
    found = DATA_SAMPLERS.get(kind) if isinstance(kind, str) else kind
    if found is None:
        known = ", ".join(sorted({*DATA_SAMPLERS.module_dict, *DATA_SAMPLERS.parent.module_dict}))
        raise LussError(
            f"there is no data sampler {kind!r}. Known are: {known}; those of other libraries are "
            "named with their scope or module, such as torch.utils.data.RandomSampler"
        )
    return found


def _in_blocks(sampler: Iterable[int], seed: int, epoch: int) -> Iterator[list[int]]:
    """Samples of a sampler, which finds the global random states as it left them."""
    samples = states = None
    while True:
        with seeded(seed, epoch, 1):
            if samples is None:
                samples = iter(sampler)
            else:
                set_states(states)
            block = list(itertools.islice(samples, _BLOCK))
            states = get_states()
        if not block:
            return
        yield block
