"""Lists of photos: each folder is listed once, and data sets read the list from a file.

A file is ``<digest of its content>.jsonl.gz``. Its first line contains facts of the data set; each
other line is an item, with paths relative to the data root.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset

from luss.errors import LussError, shorten
from luss.files import atomic_write
from luss.registry import DATASETS

__all__ = [
    "ListedPhotos",
    "describe_difference",
    "items_with_sizes",
    "listing_settings",
    "read_photo_facts",
    "read_photo_items",
    "write_photo_list",
]

_PATHS = ("img_path", "seg_map_path")
_OF_ONE_USE = frozenset(
    {
        "indices",
        "mask_id_shift",
        "metainfo",
        "num_mask_classes",
        "on_unreadable",
        "photo_list",
        "pipeline",
        "require_masks",
        "seed",
        "without",
    }
)
"""Settings of a data set that do not change what its folder contains."""


def listing_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a data set that determine what it lists."""
    return {key: value for key, value in config.items() if key not in _OF_ONE_USE}


class ListedPhotos:
    """Data sets without pipelines, each of which lists its folder once."""

    def __init__(self) -> None:
        self._datasets: dict[str, BaseDataset] = {}

    def dataset(self, config: Mapping[str, Any]) -> BaseDataset:
        """Return the data set of all photos of a config, whatever part of them it uses."""
        settings = listing_settings(config)
        key = json.dumps(settings, sort_keys=True, default=str)
        if key not in self._datasets:
            self._datasets[key] = DATASETS.build({**settings, "pipeline": []})
        return self._datasets[key]

    def write(self, config: Mapping[str, Any], folder: Path) -> Path:
        """Write the list of all photos of a config; see `write_photo_list`."""
        dataset = self.dataset(config)
        if not hasattr(dataset, "listed_items"):
            return write_photo_list(folder, _ids(dataset))
        facts = {key: getattr(dataset, key, None) for key in ("split", "categories")}
        return write_photo_list(folder, dataset.listed_items(), dataset.data_root, **facts)


def _ids(dataset: BaseDataset) -> list[dict[str, Any]]:
    """Return the id (or path) of each photo of any data set; nothing if it has neither."""
    infos = map(dataset.get_data_info, range(len(dataset)))
    photos = (info.get("image_id", info.get("img_path")) for info in infos)
    return [{"image_id": str(photo)} for photo in photos if photo is not None]


def items_with_sizes(dataset: BaseDataset) -> list[dict[str, Any]]:
    """Return the id of each photo and the bytes of its file; 0 bytes if it is missing."""
    items = map(dataset.get_data_info, range(len(dataset)))
    return [{"image_id": item["image_id"], "bytes": _size(item["img_path"])} for item in items]


def write_photo_list(
    folder: Path, items: Iterable[Mapping[str, Any]], root: str = "", **facts: Any
) -> Path:
    """Write a list of photos, and return its path.

    Args:
        folder: of the lists.
        items: of plain values, with ``image_id`` or ``img_path``.
        root: folder that paths in the items become relative to.
        **facts: of the data set, as plain values.

    Raises:
        LussError: if an item contains anything but plain values.
    """
    below = ({**item, **{k: _below(item[k], root) for k in _PATHS if k in item}} for item in items)
    try:
        content = "\n".join(map(json.dumps, chain([facts], below))).encode()
    except TypeError as error:
        raise LussError(
            f"the items of a data set cannot be written to {folder}: {error}. Use plain values, "
            "and load arrays in the pipeline"
        ) from error
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.jsonl.gz"
    if not path.exists():
        with atomic_write(path) as file:
            file.write(gzip.compress(content, compresslevel=6, mtime=0))
    return path


def read_photo_items(
    path: str | Path, root: str = "", split: str | None = None
) -> list[dict[str, Any]]:
    """Return the items of a list.

    Args:
        path: from `write_photo_list`.
        root: folder that paths in the items are relative to.
        split: that it must be of; None for any.

    Raises:
        LussError: if the list is missing or damaged, or of another split.
    """
    facts, *items = _read(path)
    if split is not None and facts.get("split") != split:
        raise LussError(
            f"the list of photos {path} is of the split {facts.get('split')!r}, not {split!r}; "
            "remove photo_list, or restore split"
        )
    for item in items:
        item |= {key: os.path.join(root, item[key]) for key in _PATHS if key in item}  # noqa: PTH118
    return items


def read_photo_facts(path: str | Path) -> dict[str, Any]:
    """Return the facts of a list; raises as `read_photo_items`."""
    return _read(path, 1)[0]


def _read(path: str | Path, most: int | None = None) -> list[dict[str, Any]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines = list(islice(map(json.loads, file), most))
        if not lines:
            raise ValueError("it is empty")
        return lines
    except (OSError, EOFError, ValueError) as error:
        raise LussError(f"cannot read the list of photos {path}: {error}; run again") from error


def _below(path: str, root: str) -> str:
    """Return a path relative to the root; outside of it, the absolute path."""
    prefix = f"{root}/"
    return path.removeprefix(prefix) if path.startswith(prefix) else os.path.abspath(path)  # noqa: PTH100


def describe_difference(before: Path, now: Path) -> str | None:
    """Describe changes of the photos between two lists, with counts and examples.

    Args:
        before: the earlier list, which may be missing.
        now: the present list.

    Returns:
        A phrase; None if ids, their order and known file sizes are the same.
    """
    if before.name == now.name:
        return None
    items = _by_id(now)
    try:
        old = _by_id(before)
    except LussError:
        return f"their list differs; there are {len(items)} now"
    gone, new = sorted(old.keys() - items.keys()), sorted(items.keys() - old.keys())
    changed = sorted(name for name in old.keys() & items.keys() if old[name] != items[name])
    if list(old.items()) == list(items.items()):
        return None
    if not gone and not new and not changed:
        return f"there are the same {len(old)}, in another order"
    text = f"of {len(old)} then, {_counted(gone, 'gone now')}, and {_counted(new, 'new')}"
    return text + (f"; {_counted(changed, 'changed')}" if changed else "")


def _by_id(path: Path) -> dict[str, int | None]:
    return {_id(item): item.get("bytes") for item in read_photo_items(path)}


def _id(item: Mapping[str, Any]) -> str:
    return item.get("image_id", item.get("img_path", ""))


def _counted(names: list[str], what: str) -> str:
    if not names:
        return f"none are {what}"
    return f"{len(names)} {'is' if len(names) == 1 else 'are'} {what} ({shorten(names, 3)})"


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
