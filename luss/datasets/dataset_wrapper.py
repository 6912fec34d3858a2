"""Wrapper that makes any data set reproducible: MMEngine's wrappers, mmcls, mmseg, or your own."""

import inspect
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any, Literal

import numpy as np
from mmengine.dataset import Compose

from luss.datasets.dataset_class import dataset_class
from luss.datasets.image_io import UnreadableImageError, open_image
from luss.datasets.reproducible import ReproducibleDataset, SeededByDraw, seeded
from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["Reproducible", "reproducible_dataset"]


@DATASETS.register_module()
class Reproducible(SeededByDraw):
    """Wrapper that seeds the items of any data set, see :class:`SeededByDraw`.

    Python's, numpy's and torch's global generators are seeded for each item. A data set that draws
    from its own generator stays unseeded.

    Before any pipeline runs, items get the missing keys that stages read: ``image_id``, which is
    ``img_path`` relative to the data root with its suffix, or the index if there is no path; and
    ``category``, 1..C, from an integer ``gt_label``, 0..C-1. All other attributes, such as
    ``data_root`` and ``metainfo``, come from the wrapped data set.

    Args:
        dataset: config of any data set, or a built one.
        seed: see :class:`SeededByDraw`.
        on_unreadable: see :class:`SeededByDraw`. Any exception on a photo that PIL cannot decode
            counts as unreadable.
        pipeline: transforms, or their configs, that run after the data set's own.
        without: ``image_id`` of items to exclude.

    Raises:
        LussError: if the data set has no ``__len__`` or ``__getitem__``, or all items are excluded.
    """

    def __init__(
        self,
        dataset: Mapping[str, Any] | Any,
        *,
        seed: int = 0,
        on_unreadable: Literal["fail", "skip"] = "fail",
        pipeline: Sequence[dict | Callable] = (),
        without: Collection[str] = (),
    ) -> None:
        self._begin(seed, on_unreadable)
        if isinstance(dataset, Mapping):
            config = {**dataset, "type": dataset_class(dataset["type"])}
            with seeded(seed):
                dataset = DATASETS.build(config)
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise LussError(
                f"the data set {type(dataset).__name__} is not reproducible, since it lacks "
                "__len__ or __getitem__. Use a map-style data set that has both"
            )
        self.dataset = dataset
        self.pipeline = Compose(list(pipeline))
        self._root = _common_root(dataset)
        for leaf in _leaves(dataset):
            if isinstance(leaf, ReproducibleDataset | Reproducible):
                leaf.seeds_itself = False
            elif isinstance(steps := getattr(leaf, "pipeline", None), Compose):
                # Must run before the data set's own pipeline packs the item.
                steps.transforms.insert(0, self._named)
        self._kept: np.ndarray | None = None
        if without:
            self._kept = self._indices_without(frozenset(without))

    def _indices_without(self, left_out: frozenset[str]) -> np.ndarray:
        count = len(self)
        kept = [self.get_data_info(index)["image_id"] not in left_out for index in range(count)]
        if not any(kept):
            raise LussError(
                f"`without` excludes all {count} images of {self._root or 'a data set'}"
            )
        return np.flatnonzero(kept)

    def _inner(self, index: int) -> int:
        """Return the wrapped data set's index of an item."""
        return index if self._kept is None else int(self._kept[index])

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.dataset) if self._kept is None else len(self._kept)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the wrapped data set, such as ``metainfo``."""
        # Unpickling reads attributes before `dataset` is set.
        if name.startswith("__") or "dataset" not in vars(self):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the item of a draw or an index as it is before any pipeline."""
        index = self._inner(idx % len(self))
        found = getattr(self.dataset, "get_data_info", None)
        return self._named(dict(found(index)) if found else {}, index)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the categories of a draw or an index, for class-balanced samplers."""
        return self.dataset.get_cat_ids(self._inner(idx % len(self)))

    def prepare_data(self, idx: int) -> Any:
        """Run the pipelines on the item of an index.

        Raises:
            UnreadableImageError: if a pipeline fails and PIL cannot decode the photo.
        """
        try:
            index = self._inner(idx)
            item = self._named(self.dataset[index], index)
            return self.pipeline(item) if item is not None else None
        except UnreadableImageError:
            raise
        except Exception as error:
            path = self.get_data_info(idx).get("img_path")
            if path is not None:
                try:
                    open_image(path)
                except UnreadableImageError as unreadable:
                    raise unreadable from error
            raise

    def _named(self, item: Any, index: int | None = None) -> Any:
        """Add missing ``image_id`` and ``category`` to an item that is not packed yet."""
        if not isinstance(item, dict) or item.keys() & {"inputs", "data_samples"}:
            return item
        if "image_id" not in item:
            path = item.get("img_path")
            if path is not None:
                item["image_id"] = _below(str(path), self._root)
            elif index is not None:
                item["image_id"] = f"{index:08d}"
        label = item.get("gt_label")
        if "category" not in item and _is_integer(label):
            item["category"] = int(label) + 1  # type: ignore[arg-type]
        return item


def reproducible_dataset(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a data set, wrapped in :class:`Reproducible` if necessary.

    ``seed``, ``on_unreadable``, ``without`` and ``pipeline`` go to the wrapper.

    Args:
        config: of any data set.

    Raises:
        LussError: if its type is unknown.
    """
    config = dict(config)
    kind = dataset_class(config["type"])
    if inspect.isclass(kind) and issubclass(kind, SeededByDraw):
        return config
    moved = ("seed", "on_unreadable", "pipeline", "without")
    outer = {key: config.pop(key) for key in moved if key in config}
    return {"type": "Reproducible", "dataset": config, **outer}


def _leaves(dataset: Any) -> Iterator[Any]:
    """Yield the data sets inside MMEngine's wrappers, or the data set itself."""
    if isinstance(dataset, Reproducible):
        yield dataset
        return
    inner = getattr(dataset, "datasets", None)
    if inner is None and (one := getattr(dataset, "dataset", None)) is not None:
        inner = [one]
    if not inner:
        yield dataset
        return
    for each in inner:
        yield from _leaves(each)


def _common_root(dataset: Any) -> str | None:
    """Return the common parent folder of all photos; None if a data set has no ``data_root``."""
    leaves = list(_leaves(dataset))
    roots = [leaf.data_root for leaf in leaves if getattr(leaf, "data_root", None)]
    if not roots or len(roots) < len(leaves):
        return None
    return os.path.commonpath([os.path.abspath(root) for root in roots])  # noqa: PTH100


def _below(path: str, root: str | None) -> str:
    """Return a path relative to the root; outside of it, the path without its leading slash."""
    path = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links
    below = os.path.relpath(path, root) if root is not None else ".."
    return path.lstrip("/") if below.startswith("..") else below


def _is_integer(label: Any) -> bool:
    if isinstance(label, np.ndarray):
        return label.ndim == 0 and np.issubdtype(label.dtype, np.integer)
    return isinstance(label, Integral) and not isinstance(label, bool)
