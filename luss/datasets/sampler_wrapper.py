"""Wrapper that makes any sampler resumable at any sample."""

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
from luss.datasets.samplers import require_samples
from luss.errors import LussError
from luss.registry import DATA_SAMPLERS

__all__ = ["ReproducibleSampler", "reproducible_sampler"]

_BLOCK = 256
"""Samples drawn per seeding, since seeding costs more than drawing a sample."""

_REPEAT = 1 << 32
"""Epoch offset of an image's next draw in the same epoch; real epochs never get this large."""


@DATA_SAMPLERS.register_module()
class ReproducibleSampler(Sampler):
    """Wrapper that yields the samples of another sampler as draws, from any position on.

    A draw is ``epoch * len(dataset) + index``, see :class:`luss.datasets.EpochSampler`. If the
    sampler repeats an image within an epoch, each repetition is another draw, so its augmentation
    differs.

    Each iteration builds the sampler again and seeds it, and Python's, numpy's and torch's global
    generators, by (seed, epoch), so samples do not depend on earlier iterations. Samplers with an
    attribute ``rank`` distribute samples over processes themselves; otherwise the wrapper does it,
    in turns.

    Args:
        dataset: of N samples.
        sampler: config of any sampler that yields indices; ``dataset`` and ``seed`` are added if it
            takes them.
        seed: equal on all ranks; drawn on rank 0 and broadcast if None.

    Attributes:
        start: samples of this rank that the next iteration skips; reset to 0 when it starts.
        endless: whether it never ends: it has no length, or is MMEngine's ``InfiniteSampler``.

    Raises:
        LussError: if the data set is empty, or the sampler is unknown.
    """

    yields_draws = True

    def __init__(self, dataset: Sized, sampler: Mapping[str, Any], seed: int | None = None) -> None:
        require_samples(dataset)
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.config = dict(sampler)
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.start = 0
        self._kind = _sampler_class(self.config.pop("type"))
        first: Any = self._build()
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
        """Yield the draws of this rank, from ``start`` on."""
        start, self.start = self.start, 0
        return itertools.islice(self._draws(self.epoch), start, None)

    def __len__(self) -> int:
        """Return this rank's number of samples in a complete epoch, ignoring ``start``.

        For an endless sampler without a length, it is the data set's, as in MMEngine.
        """
        if self._length is None:
            return len(self.dataset)
        return self._length if self._shares else math.ceil(self._length / self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Set the zero-based epoch of the next iteration."""
        self.epoch = epoch

    def _draws(self, epoch: int) -> Iterator[int]:
        count = len(self.dataset)
        times = np.zeros(count, np.uint32)
        # Samplers that distribute themselves may draw one image on two ranks at once.
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
        """Yield the sampler's indices, drawn in blocks under a separate random state."""
        for block in _in_blocks(self._build(), self.seed, self.epoch):
            yield from map(int, block)

    def _share(self, draws: Iterator[int]) -> Iterator[int]:
        """Yield every world_size-th draw; repeat the first draws if the last turn is incomplete."""
        head: list[int] = []
        while turn := list(itertools.islice(draws, self.world_size)):
            head = head or turn
            missing = self.world_size - len(turn)
            turn += itertools.islice(itertools.cycle(head), missing)
            yield turn[self.rank]


def reproducible_sampler(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a sampler, wrapped in :class:`ReproducibleSampler` if necessary.

    A class with ``yields_draws = True`` yields draws itself and is not wrapped.

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
            f"unknown data sampler {kind!r}, expected one of {known}. Name samplers of other "
            "libraries with their scope or module, such as torch.utils.data.RandomSampler"
        )
    return found


def _in_blocks(sampler: Iterable[int], seed: int, epoch: int) -> Iterator[list[int]]:
    """Yield blocks of samples, restoring the sampler's global random states for each block."""
    samples = states = None
    while True:
        with seeded(seed, epoch, 1):
            if samples is None or states is None:
                samples = iter(sampler)
            else:
                set_states(states)
            block = list(itertools.islice(samples, _BLOCK))
            states = get_states()
        if not block:
            return
        yield block
