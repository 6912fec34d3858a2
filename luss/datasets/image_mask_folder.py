"""A folder of photos and a folder of masks with the same names, without splits."""

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from luss.datasets.class_names import find_class_names, metainfo_of
from luss.datasets.description import DataDescription, Recognition
from luss.datasets.mask_codec import MaskEncoding, check_shift
from luss.datasets.photo_folder import find_photos, image_ids
from luss.datasets.photo_listing import Tally, check_names, log_once, photo_outside, walk_photos
from luss.datasets.reproducible import ReproducibleDataset
from luss.errors import LussError, shorten
from luss.registry import DATASETS

__all__ = ["ImageMaskFolder"]

_IMAGES, _MASKS = "images", "masks"


@DATASETS.register_module()
class ImageMaskFolder(ReproducibleDataset):
    """Data set of photos in ``images``, flat or nested, and their masks in ``masks``.

    ``train`` is all photos without labels. ``validation`` is those with a mask: its results are
    measured on training photos, and a warning is logged.

    An item has ``img_path``, ``image_id`` (its path in ``images`` without suffix, or with it if
    another photo differs only in the suffix) and, in ``validation``, ``seg_map_path``,
    ``num_mask_classes`` and ``mask_encoding``. EXIF orientation is applied only without a folder of
    masks, since masks fit photos as they are stored.

    Args:
        data_root: folder that contains both folders.
        split: ``train`` or ``validation``.
        image_folder: name of the folder of photos.
        mask_folder: name of the folder of ``<image_id>.png``, which may be missing.
        classes: names of the classes 1..C in masks; by default the lines of ``classes.txt``.
        mask_encoding: ``index`` (palette or one channel, 255 ignored; or colours) or ``rgb`` (R +
            256 G, or one channel, 1000 ignored).
        mask_id_shift: added to all mask ids except 'ignore', such as 1 if 0 is the first class.
        metainfo: updates to the metainfo, such as ``palette``.
        **kwargs: see ``ReproducibleDataset``.

    Raises:
        LussError: if photos or the masks of ``validation`` are missing.
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
        metainfo: Mapping[str, Any] | None = None,
        **kwargs,
    ) -> None:
        if split not in ("train", "validation"):
            raise LussError(
                f"ImageMaskFolder has no split {split!r}. Expected 'train' or 'validation'"
            )
        self.split = split
        self.images = Path(data_root, image_folder)
        self.masks = Path(data_root, mask_folder)
        self.mask_encoding = mask_encoding
        self.mask_id_shift = check_shift(mask_id_shift)
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
        """Describe photos for training and, with a folder of masks, for validation."""
        if not Path(data_root, mask_folder).is_dir():
            return DataDescription()
        names = find_class_names(data_root, classes, mask_encoding)
        return DataDescription(("train", "validation"), ("validation",), names)

    @classmethod
    def recognises(cls, root: Path) -> Recognition | None:
        """Recognise a folder by its folders ``images`` and ``masks``."""
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
        """Return the item of a draw or an index as it is before the pipeline."""
        item = super().get_data_info(idx)
        if "seg_map_path" in item:
            item |= {"num_mask_classes": self.num_classes, "mask_encoding": self.mask_encoding}
            if self.mask_id_shift:
                item["mask_id_shift"] = self.mask_id_shift
        return item

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the photos sorted by path; for ``validation``, only those with a mask."""
        photos = find_photos(self.images)
        named = list(zip(photos, image_ids(photos), strict=True))
        check_names(named, self.images)
        upright = not self.masks.is_dir()
        items = [
            {"img_path": f"{self.images}/{photo}", "image_id": image_id, "upright": upright}
            for photo, image_id in named
        ]
        return items if self.split == "train" else self._measured(items)

    def _measured(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not self.masks.is_dir():
            raise LussError(
                f"the split 'validation' needs the folder {self.masks}, which is missing"
            )
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
                f"which contains {shorten(unused) or 'no PNG files'}. Name each mask after its "
                "photo, with the suffix .png"
            )
        if unused:
            log_once(
                f"{self.masks}: {len(unused)} masks have no photo: {shorten(unused)}",
                logging.WARNING,
            )
        log_once(
            f"{os.fspath(self.masks)}: results are measured on {len(measured):,} of the "
            f"{len(items):,} TRAINING photos, since no other photos have masks",
            logging.WARNING,
        )
        return measured
