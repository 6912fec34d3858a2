"""A folder of photos and, of some or all, a folder of masks of the same names; no splits."""

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from luss.datasets.class_names import find_class_names, metainfo_of, refuse_missing_masks
from luss.datasets.description import DataDescription, Recognition
from luss.datasets.mask_codec import MaskEncoding, check_shift
from luss.datasets.photo_folder import find_photos, image_ids
from luss.datasets.photo_listing import (
    Tally,
    photo_outside,
    refuse_unusable_names,
    say_once,
    shown,
    walk_photos,
)
from luss.datasets.reproducible import ReproducibleDataset
from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["ImageMaskFolder"]

_IMAGES, _MASKS = "images", "masks"


@DATASETS.register_module()
class ImageMaskFolder(ReproducibleDataset):
    """Photos in ``images``, flat or nested, and their masks in ``masks``.

    All photos are trained on, without labels. Those that have a mask are the split ``validation``
    as well: results then tell how well these very photos are understood, not others, and a
    warning says so.

    An item has ``img_path``, ``image_id`` (its path in ``images`` without suffix, or with it where
    photos differ in nothing else) and, of ``validation``, ``seg_map_path``, ``num_mask_classes``
    and ``mask_encoding``. Photos are turned as their EXIF orientation says where there is no
    folder of masks, as masks are drawn on photos as they are stored.

    Args:
        data_root: folder of both.
        split: ``train`` or ``validation``.
        image_folder: of the photos, in the root.
        mask_folder: of ``<image_id>.png``, in the root; without it there are no masks.
        classes: names of the classes 1..C in masks; by default the lines of ``classes.txt``.
        mask_encoding: ``index`` (palette or one channel, 255 ignored; or colours) or ``rgb`` (R +
            256 G, or one channel, 1000 ignored).
        mask_id_shift: added to all ids of masks but 'ignore', such as 1 where 0 stands for the
            first class.
        require_masks: refuse photos without masks; those to train on have none.
        metainfo: more of it, or instead of ``classes`` and ``palette``.
        **kwargs: as ``ReproducibleDataset``.

    Raises:
        LussError: if photos are missing, or masks without which there is no such split.
    """

    def __init__(
        self,
        data_root: str,
        split: str = "train",
        *,
        image_folder: str = _IMAGES,
        mask_folder: str = _MASKS,
        classes: Iterable[str] | None = None,
        mask_encoding: MaskEncoding = "index",
        mask_id_shift: int = 0,
        require_masks: bool = False,
        metainfo: Mapping[str, Any] | None = None,
        **kwargs,
    ) -> None:
        if split not in ("train", "validation"):
            raise LussError(
                f"photos and masks without splits have no split {split!r}; expected 'train' or "
                "'validation', which are the same photos"
            )
        self.split = split
        self.images = Path(data_root, image_folder)
        self.masks = Path(data_root, mask_folder)
        self.mask_encoding = mask_encoding
        self.mask_id_shift = check_shift(mask_id_shift)
        self.require_masks = require_masks
        self.categories: tuple[str, ...] = ()
        if self.masks.is_dir():
            self.categories = find_class_names(data_root, classes, mask_encoding)
        metainfo = metainfo_of(self.categories, metainfo)
        super().__init__(data_root=data_root, metainfo=metainfo, **kwargs)

    @classmethod
    def describe(
        cls,
        data_root: str,
        *,
        mask_folder: str = _MASKS,
        classes: Iterable[str] | None = None,
        mask_encoding: MaskEncoding = "index",
        **settings: Any,
    ) -> DataDescription:
        """Photos to train on; where there is a folder of masks, the same to be measured."""
        if not Path(data_root, mask_folder).is_dir():
            return DataDescription()
        names = find_class_names(data_root, classes, mask_encoding)
        return DataDescription(("train", "validation"), ("validation",), names)

    @classmethod
    def recognises(cls, root: Path) -> Recognition | None:
        """It has the folders ``images`` and ``masks``."""
        if not ((root / _IMAGES).is_dir() and (root / _MASKS).is_dir()):
            return None
        stray = photo_outside(root, (_IMAGES, _MASKS))
        return Recognition(
            sign=f"the folders {_IMAGES!r} and {_MASKS!r}",
            doubt=None if stray is None else f"{stray} is a photo outside of them",
            use=f"the photos in {_IMAGES} with their masks",
        )

    @property
    def num_classes(self) -> int:
        """C, the number of classes without 'other'."""
        return len(self.categories)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What is known of an item before the pipeline, for a draw or an index."""
        item = super().get_data_info(idx)
        if "seg_map_path" in item:
            item |= {"num_mask_classes": self.num_classes, "mask_encoding": self.mask_encoding}
            if self.mask_id_shift:
                item["mask_id_shift"] = self.mask_id_shift
        return item

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the photos, sorted by their path; of ``validation`` those with a mask."""
        photos = find_photos(self.images)
        named = list(zip(photos, image_ids(photos), strict=True))
        refuse_unusable_names(named, self.images)
        upright = not self.masks.is_dir()
        items = [
            {"img_path": f"{self.images}/{photo}", "image_id": image_id, "upright": upright}
            for photo, image_id in named
        ]
        if self.split == "train":
            if self.require_masks:
                refuse_missing_masks(items, self.masks, self.split)
            return items
        return self._measured(items)

    def _measured(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not self.masks.is_dir():
            raise LussError(f"there is no folder {self.masks} of masks to measure with")
        found = {mask for mask in walk_photos(self.masks, Tally()) if mask.endswith(".png")}
        measured = [
            {**item, "seg_map_path": f"{self.masks}/{item['image_id']}.png"}
            for item in items
            if f"{item['image_id']}.png" in found
        ]
        unused = sorted(found - {f"{item['image_id']}.png" for item in measured})
        if not measured:
            raise LussError(
                f"none of the {len(items)} photos in {self.images} has a mask in {self.masks}, "
                f"which holds {shown(unused) or 'no PNG files'}; a mask is called as its photo, "
                "and ends in .png"
            )
        if unused:
            say_once(
                f"{self.masks}: {len(unused)} masks have no photo: {shown(unused)}",
                logging.WARNING,
            )
        say_once(
            f"{os.fspath(self.masks)}: results are measured on {len(measured):,} of the "
            f"{len(items):,} photos that are TRAINED ON, for want of others with masks",
            logging.WARNING,
        )
        return measured
