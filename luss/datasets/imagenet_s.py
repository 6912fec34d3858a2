"""Split roots of ImageNet-S: photos in class folders and their masks."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luss.datasets.class_names import metainfo_of
from luss.datasets.description import ROLES, DataDescription, Recognition
from luss.datasets.image_io import split_suffix
from luss.datasets.mask_codec import check_shift
from luss.datasets.photo_listing import Tally, check_names
from luss.datasets.photo_lists import read_photo_facts
from luss.datasets.reproducible import ReproducibleDataset
from luss.datasets.split_root import (
    SPLITS,
    Split,
    class_folders,
    find_categories,
    folder_content,
    holds_photo,
    may_be_file,
    names_in,
    no_images,
    why_no_split_root,
)
from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["SPLITS", "ImageNetS", "class_folders", "find_categories", "holds_photo"]


@DATASETS.register_module()
class ImageNetS(ReproducibleDataset):
    """One split of an ImageNet-S split root with any number of classes.

    An item has ``img_path``, ``image_id`` ('<class folder>/<stem>'), ``category`` (the id of its
    class folder, 1..C, or 0 for other folders in ``train-full``), ``num_mask_classes``,
    ``seg_map_path`` if it has a mask, and ``mask_id_shift`` if that is not 0.

    Args:
        data_root: the split root, with folders such as ``train`` and ``validation-segmentation``.
        split: one of ``SPLITS``.
        mask_root: folder of ``<class folder>/<stem>.png`` masks, such as pseudo labels; by
            default ``<split>-segmentation`` of the split root, if it exists.
        num_mask_classes: largest class id in masks, by default C. Set it for pseudo labels with
            another number of categories.
        mask_id_shift: added to all ids except 1000 in the split root's own masks, such as 1 if 0
            is the first class; not used with ``mask_root``.
        metainfo: updates to the metainfo, such as ``palette``.
        **kwargs: see ``ReproducibleDataset``.

    Raises:
        LussError: if a folder is missing, there are no images, or masks are missing.
    """

    def __init__(
        self,
        data_root: str,
        split: Split = "train",
        *,
        mask_root: str | None = None,
        num_mask_classes: int | None = None,
        mask_id_shift: int = 0,
        metainfo: Mapping[str, Any] | None = None,
        **kwargs,
    ):
        if split not in SPLITS:
            raise LussError(f"unknown split {split!r}. Expected one of {', '.join(SPLITS)}")
        self.split = split
        self.categories: list[str] = (
            read_photo_facts(kwargs["photo_list"])["categories"]
            if kwargs.get("photo_list")
            else find_categories(data_root)
        )
        self.mask_root = mask_root
        self.masks = Path(mask_root or f"{Path(data_root, split)}-segmentation")
        self.num_mask_classes = num_mask_classes or len(self.categories)
        self.mask_id_shift = check_shift(mask_id_shift) if mask_root is None else 0
        metainfo = metainfo_of(tuple(self.categories), metainfo)
        super().__init__(data_root=data_root, metainfo=metainfo, **kwargs)

    @classmethod
    def describe(cls, data_root: str, **settings: Any) -> DataDescription:
        """Describe the splits whose folders exist, with masks in ``<split>-segmentation``."""
        root = Path(data_root)
        splits = tuple(split for split in ROLES if (root / split).is_dir())
        return DataDescription(
            splits=splits,
            masked=tuple(split for split in splits if (root / f"{split}-segmentation").is_dir()),
            classes=tuple(find_categories(root)),
            has_categories=True,
        )

    @classmethod
    def recognises(cls, root: Path) -> Recognition | None:
        """Recognise a split root by ``train`` or a folder of masks."""
        masks = [f"{split}-segmentation" for split in SPLITS]
        found = next((name for name in ("train", *masks) if (root / name).is_dir()), None)
        if found is None:
            return None
        return Recognition(
            sign=f"a folder {found!r} as ImageNet-S split roots have",
            doubt=why_no_split_root(root),
            use="only the class folders of its splits",
        )

    @property
    def num_classes(self) -> int:
        """C, the number of classes without 'other'."""
        return len(self.categories)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the item of a draw or an index as it is before the pipeline."""
        item = {**super().get_data_info(idx), "num_mask_classes": self.num_mask_classes}
        return {**item, "mask_id_shift": self.mask_id_shift} if self.mask_id_shift else item

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the category of a draw or an index, for MMEngine's ``ClassBalancedDataset``."""
        return [self.get_data_info(idx)["category"]]

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the photos in the order of class folders, then of file names."""
        folder = Path(self.data_root, self.split)
        if not folder.is_dir():
            raise LussError(
                f"the folder '{self.split}' is missing in {self.data_root}, which contains "
                f"{folder_content(Path(self.data_root))}. Add it, or choose another split"
            )
        if self.mask_root is not None and not self.masks.is_dir():
            raise LussError(f"the folder {self.masks} is missing. Correct mask_root")
        ids = {name: index for index, name in enumerate(self.categories, 1)}
        items: list[dict[str, Any]] = []
        tally = Tally(stray=_photos_in(folder))
        for name in class_folders(folder):
            if name not in ids and self.split != "train-full":
                if not holds_photo(folder / name):
                    continue
                raise LussError(
                    f"the class folder {folder / name} is missing among the {len(ids)} class "
                    "folders of 'train'. Add it there or remove it here"
                )
            items += _list_category(folder / name, self.masks / name, ids.get(name, 0), tally)
        check_names(
            ((item["img_path"][len(str(folder)) + 1 :], item["image_id"]) for item in items),
            folder,
        )
        tally.log(folder)
        if not items:
            raise no_images(folder)
        return items


def _list_category(folder: Path, masks: Path, category: int, tally: Tally) -> list[dict[str, Any]]:
    """List a class folder without following links, since there may be a million."""
    with_mask = names_in(masks) if masks.is_dir() else set()
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if not entry.is_dir(follow_symlinks=False)
            and tally.takes(entry.name, may_be_file(entry))
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
                f"{items[stem]['img_path']} and {item['img_path']} would share one mask. "
                "Rename one of them"
            )
        if f"{stem}.png" in with_mask:
            item["seg_map_path"] = f"{masks}/{stem}.png"
        items[stem] = item
    return list(items.values())


def _photos_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            entry.name for entry in entries if Tally().takes(entry.name, may_be_file(entry))
        )
