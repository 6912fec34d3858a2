"""A split root of ImageNet-S: photos in class folders, and masks beside them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from luss.datasets.image_io import IMAGE_SUFFIXES, split_suffix
from luss.datasets.mask_codec import IGNORE_ID
from luss.datasets.palette import make_palette
from luss.datasets.photo_listing import Tally, is_work_dir, refuse_unusable_names, shown
from luss.datasets.reproducible import ReproducibleDataset
from luss.errors import LussError
from luss.files import is_system_name
from luss.registry import DATASETS

__all__ = ["SPLITS", "ImageNetS", "class_folders", "find_categories", "holds_photo"]

Split = Literal["train", "train-full", "train-semi", "validation", "test"]

SPLITS: tuple[str, ...] = ("train", "train-full", "train-semi", "validation", "test")

_SHOWN = 10


def find_categories(data_root: str | os.PathLike) -> list[str]:
    """Names of the classes 1..C of a split root: the sorted class folders of ``train``.

    Without ``train``, those of all other splits but ``train-full`` together. Hidden folders, those
    that systems add, and folders of runs are no class folders. One without a photo is refused: as
    a class it would shift the ids of those after it.

    Args:
        data_root: the split root.

    Returns:
        The C names.

    Raises:
        LussError: if there is no split in ``data_root``, no class folder, an empty one, or too
            many of them.
    """
    root = Path(data_root)
    if not root.is_dir():
        raise LussError(f"there is no folder {root}; data_root must be an ImageNet-S split root")
    splits = ["train"] if (root / "train").is_dir() else ["train-semi", "validation", "test"]
    present = [split for split in splits if (root / split).is_dir()]
    if not present:
        raise LussError(
            f"{root} is no ImageNet-S split root: none of {', '.join(['train', *splits])} is in "
            f"it, it holds {_content(root)}"
        )
    names = sorted({name for split in present for name in class_folders(root / split)})
    if not names:
        raise LussError(
            f"there are no class folders in {' or '.join(str(root / split) for split in present)}; "
            "images must lie in one folder a class (for photos without classes use PhotoFolder)"
        )
    if len(names) >= IGNORE_ID:
        raise LussError(
            f"{root} has {len(names)} classes, but ids from {IGNORE_ID} on cannot be told from "
            f"'ignore' (= {IGNORE_ID}) in masks; at most {IGNORE_ID - 1} are possible"
        )
    empty = [
        name for name in names if not any(holds_photo(root / split / name) for split in present)
    ]
    if len(empty) == len(names):
        raise _no_images(root / present[0])
    if empty:
        raise LussError(
            f"{len(empty)} of the {len(names)} class folders of {root / present[0]} hold no "
            f"photo: {shown(empty)}; as classes they would shift the ids of the others: remove "
            "these folders, or put the photos of these classes into them"
        )
    return names


def class_folders(folder: Path) -> list[str]:
    """Names of the class folders of a split, sorted."""
    with os.scandir(folder) as entries:
        names = [
            entry.name for entry in entries if entry.is_dir() and not is_system_name(entry.name)
        ]
    return sorted(name for name in names if not is_work_dir(folder / name))


def holds_photo(folder: Path) -> bool:
    """Whether there is a photo in a folder itself, which may be missing."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(Tally().takes(entry.name, _may_be_file(entry)) for entry in entries)


@DATASETS.register_module()
class ImageNetS(ReproducibleDataset):
    """One split of an ImageNet-S split root of any number of classes.

    An item has ``img_path``, ``image_id`` ('<class folder>/<stem>'), ``category`` (the id of its
    class folder, 1..C, or 0 for a folder outside the classes, as ``train-full`` has),
    ``num_mask_classes`` and, where there is a mask, ``seg_map_path``.

    Args:
        data_root: the split root, with folders such as ``train`` and ``validation-segmentation``.
        split: which photos.
        mask_root: folder of ``<class folder>/<stem>.png`` masks, such as pseudo labels; by
            default ``<split>-segmentation`` of the split root where that exists.
        require_masks: refuse images without a mask.
        num_mask_classes: largest class id in masks; by default C. Pseudo labels of another
            number of generated categories need it.
        metainfo: more of it, or instead of ``classes`` and ``palette``.
        **kwargs: as ``ReproducibleDataset``.

    Raises:
        LussError: if a folder is missing, there are no images, or masks are missing.
    """

    def __init__(
        self,
        data_root: str,
        split: Split = "train",
        *,
        mask_root: str | None = None,
        require_masks: bool = False,
        num_mask_classes: int | None = None,
        metainfo: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        if split not in SPLITS:
            raise LussError(f"unknown split {split!r}; the splits are {', '.join(SPLITS)}")
        self.split = split
        self.categories = find_categories(data_root)
        self.mask_root = mask_root
        self.require_masks = require_masks
        self.num_mask_classes = num_mask_classes or len(self.categories)
        described = {
            "classes": ("other", *self.categories),
            "palette": make_palette(len(self.categories)),
        }
        super().__init__(data_root=data_root, metainfo={**described, **(metainfo or {})}, **kwargs)

    @property
    def num_classes(self) -> int:
        """C, the number of classes without 'other'."""
        return len(self.categories)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What is known of an item before the pipeline, for a draw or an index."""
        return {**super().get_data_info(idx), "num_mask_classes": self.num_mask_classes}

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the photos in the order of class folders, then of file names."""
        folder = Path(self.data_root, self.split)
        if not folder.is_dir():
            raise LussError(
                f"there is no folder '{self.split}' in {self.data_root}; it holds "
                f"{_content(Path(self.data_root))}"
            )
        masks = Path(self.mask_root or f"{folder}-segmentation")
        if self.mask_root is not None and not masks.is_dir():
            raise LussError(f"there is no folder {masks} for the masks (mask_root)")
        ids = {name: index for index, name in enumerate(self.categories, 1)}
        items: list[dict[str, Any]] = []
        tally = Tally(stray=_photos_in(folder))
        for name in class_folders(folder):
            if name not in ids and self.split != "train-full":
                if not holds_photo(folder / name):
                    continue
                raise LussError(
                    f"the class folder {folder / name} has no counterpart among the "
                    f"{len(ids)} class folders of 'train'; add it there or remove it here"
                )
            items += _list_category(folder / name, masks / name, ids.get(name, 0), tally)
        refuse_unusable_names(
            ((item["img_path"][len(str(folder)) + 1 :], item["image_id"]) for item in items),
            folder,
        )
        tally.say(folder)
        if not items:
            raise _no_images(folder)
        if self.require_masks:
            self._refuse_missing_masks(items, masks)
        return items

    def _refuse_missing_masks(self, items: list[dict[str, Any]], masks: Path) -> None:
        bare = [item["image_id"] for item in items if "seg_map_path" not in item]
        if not masks.is_dir():
            raise LussError(
                f"masks are required, but there is no folder {masks}; "
                f"{self.data_root} holds {_content(Path(self.data_root))}"
            )
        if bare:
            listed = "".join(f"\n  {masks / image}.png" for image in bare[:_SHOWN])
            more = f"\n  and {len(bare) - _SHOWN} more" if len(bare) > _SHOWN else ""
            raise LussError(
                f"{len(bare)} of {len(items)} images of '{self.split}' have no mask:{listed}{more}"
            )


def _list_category(folder: Path, masks: Path, category: int, tally: Tally) -> list[dict[str, Any]]:
    """List a class folder; links are not followed, since there may be a million."""
    with_mask = set(_names(masks)) if masks.is_dir() else set()
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if not entry.is_dir(follow_symlinks=False)
            and tally.takes(entry.name, _may_be_file(entry))
        )
    items: dict[str, dict[str, Any]] = {}
    for name in names:
        stem, _ = split_suffix(name)
        item = {
            "img_path": f"{folder}/{name}",
            "image_id": f"{folder.name}/{stem}",
            "category": category,
        }
        if stem in items:
            raise LussError(
                f"{items[stem]['img_path']} and {item['img_path']} would share one mask; "
                "rename one of them"
            )
        if f"{stem}.png" in with_mask:
            item["seg_map_path"] = f"{masks}/{stem}.png"
        items[stem] = item
    return list(items.values())


def _may_be_file(entry: os.DirEntry) -> bool:
    """Whether an entry is a regular file or a link, without looking where that leads."""
    return entry.is_file(follow_symlinks=False) or entry.is_symlink()


def _photos_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            entry.name for entry in entries if Tally().takes(entry.name, _may_be_file(entry))
        )


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _content(folder: Path) -> str:
    return shown(sorted(_names(folder))) or "nothing"


def _no_images(folder: Path) -> LussError:
    return LussError(
        f"there are no images in the class folders of {folder}; "
        f"looked for {', '.join(sorted(IMAGE_SUFFIXES))} in any case"
    )
