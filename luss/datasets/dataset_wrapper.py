"""Any data set made reproducible: MMEngine's wrappers, those of mmcls, mmseg, or one's own."""

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
    """Wraps a data set whose items depend on what was drawn before, see :class:`SeededByDraw`.

    Python's, numpy's and torch's global generators are seeded whenever the data set is asked for
    an item; one that draws from a generator of its own cannot be helped.

    Items get what stages look for and the data set does not give, before any pipeline runs:
    ``image_id``, which is ``img_path`` relative to the data root, with its suffix, so that no two
    are alike, or the index where there is no path; and ``category``, 1..C, from an integer
    ``gt_label``, 0..C-1. ``data_root``, ``metainfo`` and all else are those of the data set.

    Args:
        dataset: config of any data set, or one that is built.
        seed: see :class:`SeededByDraw`.
        on_unreadable: see :class:`SeededByDraw`. Whatever fails at a photo that PIL cannot decode
            counts as unreadable.
        pipeline: transforms, or their configs, after those of the data set itself.
        without: ``image_id`` of items to leave out.

    Raises:
        LussError: if the data set has no length, or no items that are numbered, or if all of them
            are left out.
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
                f"the data set {type(dataset).__name__} has no length or no numbered items, so "
                "that no item can be had again; expected __len__ and __getitem__"
            )
        self.dataset = dataset
        self.pipeline = Compose(list(pipeline))
        self._root = _common_root(dataset)
        for leaf in _leaves(dataset):
            if isinstance(leaf, ReproducibleDataset | Reproducible):
                leaf.seeds_itself = False
            elif isinstance(steps := getattr(leaf, "pipeline", None), Compose):
                # Named before the data set's own pipeline packs the item.
                steps.transforms.insert(0, self._named)
        self._kept: np.ndarray | None = None
        if without:
            self._kept = self._indices_without(frozenset(without))

    def _indices_without(self, left_out: frozenset[str]) -> np.ndarray:
        count = len(self)
        kept = [self.get_data_info(index)["image_id"] not in left_out for index in range(count)]
        if not any(kept):
            raise LussError(f"all {count} images of {self._root or 'a data set'} are left out")
        return np.flatnonzero(kept)

    def _inner(self, index: int) -> int:
        """The data set's own index of an item."""
        return index if self._kept is None else int(self._kept[index])

    def __len__(self) -> int:
        """Number of items."""
        return len(self.dataset) if self._kept is None else len(self._kept)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the data set's, such as ``metainfo``."""
        # Unpickling asks before there is a data set.
        if name.startswith("__") or "dataset" not in vars(self):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What is known of an item before any pipeline, for a draw or an index."""
        index = self._inner(idx % len(self))
        found = getattr(self.dataset, "get_data_info", None)
        return self._named(dict(found(index)) if found else {}, index)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Categories of an item, for samplers that ask; for a draw or an index."""
        return self.dataset.get_cat_ids(self._inner(idx % len(self)))

    def prepare_data(self, idx: int) -> Any:
        """Run the pipelines on the item of an index.

        Raises:
            UnreadableImageError: if it fails, and the photo cannot be decoded.
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
        """Give an item what it lacks; one that is packed already stays as it is."""
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
            item["category"] = int(label) + 1
        return item


def reproducible_dataset(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a data set, wrapped in :class:`Reproducible` where it needs that.

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
    """The data sets that hold the photos: those within MMEngine's wrappers, or itself."""
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
    """The folder that all photos lie below, as far as the data sets say."""
    roots = [getattr(leaf, "data_root", None) for leaf in _leaves(dataset)]
    if not roots or not all(roots):
        return None
    return os.path.commonpath([os.path.abspath(root) for root in roots])  # noqa: PTH100


def _below(path: str, root: str | None) -> str:
    """A path relative to the root; one that is not below it loses its leading slash."""
    path = os.path.abspath(path)  # noqa: PTH100 - links to photos are not followed
    below = os.path.relpath(path, root) if root is not None else ".."
    return path.lstrip("/") if below.startswith("..") else below


def _is_integer(label: Any) -> bool:
    if isinstance(label, np.ndarray):
        return label.ndim == 0 and np.issubdtype(label.dtype, np.integer)
    return isinstance(label, Integral) and not isinstance(label, bool)
