"""Data sets with samples seeded by (seed, epoch, index), so order and workers do not matter."""

import contextlib
import logging
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from luss.datasets.class_names import require_masks_for
from luss.datasets.image_io import UnreadableImageError
from luss.datasets.photo_lists import read_photo_items
from luss.errors import LussError
from luss.randomness import seed_words

_MANY = 10_000

__all__ = ["ReproducibleDataset", "SeededByDraw", "get_states", "seeded", "set_states"]


@contextlib.contextmanager
def seeded(*entropy: int) -> Iterator[None]:
    """Seed ``random``, ``numpy.random`` and torch's CPU generator; restore their states on exit.

    Args:
        entropy: integers that are mixed into one seed.
    """
    words = seed_words(8, *(word % 2**64 for word in entropy))
    states = get_states()
    try:
        random.seed(words[:4].tobytes())
        np.random.seed(words[4:6])
        # torch.manual_seed would also seed, and synchronise with, the accelerators.
        torch.default_generator.manual_seed(int(words[6]) << 32 | int(words[7]))
        yield
    finally:
        set_states(states)


def get_states() -> tuple[Any, Any, torch.Tensor]:
    """Return the states of ``random``, ``numpy.random`` and torch's CPU generator."""
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def set_states(states: tuple[Any, Any, torch.Tensor]) -> None:
    """Restore the states of ``random``, ``numpy.random`` and torch's CPU generator."""
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


class SeededByDraw:
    """Mixin of data sets whose items are seeded by draws.

    A draw is ``epoch * len(dataset) + index``. Samplers yield draws, so the pipeline is seeded by
    (seed, epoch, index) in any worker and order. A plain index is a draw of epoch 0. Subclasses
    have MMEngine's ``prepare_data`` and ``get_data_info``.

    Args:
        seed: of all random choices.
        on_unreadable: ``'fail'`` raises an error for an unreadable image; ``'skip'`` warns once per
            file and returns the next readable image.

    Attributes:
        seeds_itself: False inside a wrapper that seeds by its own draws.
    """

    seeds_itself = True

    if TYPE_CHECKING:

        def __len__(self) -> int: ...
        def get_data_info(self, idx: int) -> dict[str, Any]: ...  # noqa: D102
        def prepare_data(self, idx: int) -> Any: ...  # noqa: D102

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
            LussError: if no image can be read, or the pipeline returns None.
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
                message = f"{error}; the next readable image replaces it"
                print_log(message, logger="current", level=logging.WARNING)
                continue
            if item is None:
                path = self.get_data_info(current).get("img_path")
                raise LussError(
                    f"the pipeline returned None for {path}. Use transforms that keep every item"
                )
            return item
        where = getattr(self, "data_root", type(self).__name__)
        raise LussError(f"none of the {count} images in {where} can be read. Replace them")

    def __iter__(self) -> Iterator[Any]:
        """Yield the items of epoch 0; the default would never end, since draws are unlimited."""
        return (self[index] for index in range(len(self)))


class ReproducibleDataset(SeededByDraw, BaseDataset):
    """MMEngine data set with items seeded by draws, see :class:`SeededByDraw`.

    Args:
        seed: see :class:`SeededByDraw`.
        on_unreadable: see :class:`SeededByDraw`.
        metainfo: see MMEngine's ``BaseDataset``.
        data_root: folder of the data.
        pipeline: transforms, or their configs.
        photo_list: file that lists the photos, see ``luss.datasets.photo_lists``, to be read
            instead of the folder.
        require_masks: raise an error if an item has no mask.
        indices: number of first items to keep, or indices of items to keep.
        without: ``image_id`` of items to exclude.
        test_mode: no effect; accepted for MMEngine.
        serialize_data: store a list of 10,000 or more items as bytes that workers share.
        lazy_init: list the files at first use.
    """

    def __init__(
        self,
        *,
        data_root: str = "",
        seed: int = 0,
        on_unreadable: Literal["fail", "skip"] = "fail",
        pipeline: Sequence[dict | Callable] = (),
        metainfo: Mapping[str, Any] | None = None,
        photo_list: str = "",
        require_masks: bool = False,
        indices: int | Sequence[int] | None = None,
        without: Collection[str] = (),
        test_mode: bool = False,
        serialize_data: bool = True,
        lazy_init: bool = False,
    ):
        self._begin(seed, on_unreadable)
        self.without = frozenset(without)
        self.require_masks = require_masks
        root = str(Path(data_root)) if data_root else ""
        if photo_list:
            split = getattr(self, "split", None)
            read = partial(read_photo_items, photo_list, root, split)
            # Replaces the method of the subclass.
            object.__setattr__(self, "load_data_list", read)
        super().__init__(
            data_root=root,
            data_prefix={},
            metainfo=metainfo,
            indices=indices,
            pipeline=list(pipeline),
            test_mode=test_mode,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
        )

    def filter_data(self) -> list[dict[str, Any]]:
        """Return the items that ``without`` does not exclude.

        Raises:
            LussError: if none is left, or a required mask is missing.
        """
        if self.require_masks:
            masks = Path(getattr(self, "masks", str(self.data_root)))
            require_masks_for(self.data_list, masks, getattr(self, "split", "train"))
        kept = [item for item in self.data_list if item.get("image_id") not in self.without]
        if self.without and not kept:
            raise LussError(
                f"`without` excludes all {len(self.data_list)} images of {self.data_root}"
            )
        # Serialising a short list saves little, but MMEngine collects garbage after it.
        self.serialize_data: bool = self.serialize_data and len(kept) >= _MANY
        return kept

    def listed_items(self) -> Iterator[dict[str, Any]]:
        """Yield the items as they were listed."""
        for index in range(len(self)):
            item = super().get_data_info(index)
            del item["sample_idx"]
            yield item

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the item of a draw or an index as it is before the pipeline.

        It contains ``split`` if the data set has splits, since splits may share ids of photos.
        """
        item = super().get_data_info(idx % len(self))
        return {**item, "split": self.split} if hasattr(self, "split") else item
