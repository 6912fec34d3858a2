"""What a data set gives for a draw depends on the draw alone, not on what was drawn before."""

import contextlib
import logging
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from luss.datasets.image_io import UnreadableImageError
from luss.errors import LussError

_MANY = 10_000

__all__ = ["ReproducibleDataset", "SeededByDraw", "get_states", "seeded", "set_states"]


@contextlib.contextmanager
def seeded(*entropy: int) -> Iterator[None]:
    """Seed ``random``, ``numpy.random`` and torch's CPU generator; give back their states after.

    Args:
        entropy: integers that together are the seed.
    """
    words = np.random.SeedSequence([word % 2**64 for word in entropy]).generate_state(8)
    states = get_states()
    try:
        random.seed(words[:4].tobytes())
        np.random.seed(words[4:6])
        # torch.manual_seed would seed the accelerators as well, which wait for that.
        torch.default_generator.manual_seed(int(words[6]) << 32 | int(words[7]))
        yield
    finally:
        set_states(states)


def get_states() -> tuple[Any, Any, torch.Tensor]:
    """The states of ``random``, ``numpy.random`` and torch's CPU generator."""
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def set_states(states: tuple[Any, Any, torch.Tensor]) -> None:
    """Give ``random``, ``numpy.random`` and torch's CPU generator their states back."""
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


class SeededByDraw:
    """What makes a data set's items depend on the draw by which they are asked for.

    A draw is ``epoch * len(dataset) + index``; a sampler yields draws, so that the pipeline is
    seeded by (seed, epoch, index) in whichever worker and order it runs. A plain index is a draw
    of epoch 0. To be mixed into a class with ``prepare_data`` and ``get_data_info``, as MMEngine
    has them.

    Args:
        seed: of all random choices.
        on_unreadable: what becomes of an image that cannot be read: ``'fail'`` raises, ``'skip'``
            warns once for each file and gives the next readable image instead.

    Attributes:
        seeds_itself: False for a data set within another one that seeds by its own draws.
    """

    seeds_itself = True

    def _begin(self, seed: int, on_unreadable: Literal["fail", "skip"]) -> None:
        if on_unreadable not in ("fail", "skip"):
            raise LussError(f"on_unreadable must be 'fail' or 'skip', got {on_unreadable!r}")
        self.seed = seed
        self.on_unreadable = on_unreadable
        self._unreadable: set[int] = set()

    def __getitem__(self, draw: int) -> Any:
        """Run the pipeline on the item of a draw.

        Raises:
            UnreadableImageError: if the image cannot be read and ``on_unreadable='fail'``.
            LussError: if no image can be read, or the pipeline gives None.
        """
        count = len(self)
        epoch, index = divmod(draw, count)
        for step in range(count):
            current = (index + step) % count
            if current in self._unreadable:
                continue
            try:
                with seeded(self.seed, epoch, index) if self.seeds_itself else nullcontext():
                    item = self.prepare_data(current)
            except UnreadableImageError as error:
                if self.on_unreadable == "fail":
                    raise
                self._unreadable.add(current)
                message = f"{error}; the next readable image takes its place"
                print_log(message, logger="current", level=logging.WARNING)
                continue
            if item is None:
                path = self.get_data_info(current).get("img_path")
                raise LussError(f"the pipeline gave nothing for {path}; its steps must not drop it")
            return item
        where = getattr(self, "data_root", type(self).__name__)
        raise LussError(f"none of the {count} images in {where} can be read")

    def __iter__(self) -> Iterator[Any]:
        """Items of epoch 0; draws go on for ever, so that an IndexError would never come."""
        return (self[index] for index in range(len(self)))


class ReproducibleDataset(SeededByDraw, BaseDataset):
    """An MMEngine data set whose items are addressed by draws, see :class:`SeededByDraw`.

    Args:
        seed: see :class:`SeededByDraw`.
        on_unreadable: see :class:`SeededByDraw`.
        metainfo: as MMEngine's.
        data_root: folder of the data.
        pipeline: transforms, or their configs.
        indices: keep this many first items, or the items of these indices.
        without: ``image_id`` of items to leave out.
        test_mode: as MMEngine's; without effect here.
        serialize_data: keep a list of 10,000 items or more as bytes that workers share.
        lazy_init: put off listing the files until they are asked for.
    """

    def __init__(
        self,
        *,
        data_root: str = "",
        seed: int = 0,
        on_unreadable: Literal["fail", "skip"] = "fail",
        pipeline: Sequence[dict | Callable] = (),
        metainfo: Mapping[str, Any] | None = None,
        indices: int | Sequence[int] | None = None,
        without: Collection[str] = (),
        test_mode: bool = False,
        serialize_data: bool = True,
        lazy_init: bool = False,
    ):
        self._begin(seed, on_unreadable)
        self.without = frozenset(without)
        super().__init__(
            data_root=str(data_root),
            data_prefix={},
            metainfo=metainfo,
            indices=indices,
            pipeline=list(pipeline),
            test_mode=test_mode,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
        )

    def filter_data(self) -> list[dict[str, Any]]:
        """The items but those to leave out; a short list is not kept as bytes.

        Raises:
            LussError: if none is left.
        """
        kept = [item for item in self.data_list if item.get("image_id") not in self.without]
        if self.without and not kept:
            raise LussError(f"all {len(self.data_list)} images of {self.data_root} are left out")
        # MMEngine has the whole process collect garbage to save this memory.
        self.serialize_data = self.serialize_data and len(kept) >= _MANY
        return kept

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What is known of an item before the pipeline, for a draw or an index.

        With ``split`` of a data set that has splits: photos of two splits may share their ids.
        """
        item = super().get_data_info(idx % len(self))
        return {**item, "split": self.split} if hasattr(self, "split") else item
