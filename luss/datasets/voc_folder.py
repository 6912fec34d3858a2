"""Data as PASCAL VOC lays them out: photos, masks with a palette, and lists of splits."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from luss.datasets.class_names import find_class_names, metainfo_of, refuse_missing_masks
from luss.datasets.description import ROLES, DataDescription, Recognition
from luss.datasets.image_io import IMAGE_SUFFIXES, split_suffix
from luss.datasets.mask_codec import check_shift
from luss.datasets.photo_listing import photo_outside, refuse_unusable_names, say_once, shown
from luss.datasets.reproducible import ReproducibleDataset
from luss.datasets.split_root import folder_content, names_in
from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["VOC_CLASSES", "VOCFolder"]

VOC_CLASSES: tuple[str, ...] = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)

_PHOTOS, _MASKS, _LISTS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
_KNOWN = ("Annotations", "ImageSets", _PHOTOS, _MASKS, f"{_MASKS}Aug", "SegmentationObject")
_SPLITS = {"train": "train", "train-semi": "train", "validation": "val", "test": "test"}
_LOOKED_AT = 100


@DATASETS.register_module()
class VOCFolder(ReproducibleDataset):
    """One split of a folder in the layout of PASCAL VOC.

    Photos lie in ``JPEGImages``, masks of the same names in ``SegmentationClass`` (PNG with a
    palette or one channel: 0 is 'other', 255 is ignored), and ``ImageSets/Segmentation/<list>.txt``
    lists the names of a split. ``train`` is to train on without labels: its masks are not read.
    ``train-semi``, to train on with them, is the same list.

    An item has ``img_path``, ``image_id`` (its name in the list), ``num_mask_classes``,
    ``mask_encoding`` and, where there is a mask, ``seg_map_path``.

    Args:
        data_root: the folder, such as ``VOCdevkit/VOC2012``.
        split: which photos.
        classes: names of the classes 1..C; by default the lines of ``classes.txt`` in the root,
            or the 20 of VOC.
        lists: split -> name of its list, over the usual ones, such as ``{'train': 'trainaug'}``;
            None for a split that is not to be there.
        mask_folder: folder of the masks in the root.
        mask_id_shift: added to all ids of masks but 'ignore', such as 1 where 0 stands for the
            first class.
        require_masks: refuse images without a mask.
        metainfo: more of it, or instead of ``classes`` and ``palette``.
        **kwargs: as ``ReproducibleDataset``.

    Raises:
        LussError: if the list, photos or masks are missing.
    """

    def __init__(
        self,
        data_root: str,
        split: str = "train",
        *,
        classes: Iterable[str] | None = None,
        lists: Mapping[str, str | None] | None = None,
        mask_folder: str = _MASKS,
        mask_id_shift: int = 0,
        require_masks: bool = False,
        metainfo: Mapping[str, Any] | None = None,
        **kwargs,
    ) -> None:
        self.split = split
        self.list_file = _list_file(data_root, lists, split)
        self.categories = find_class_names(data_root, classes, "index", VOC_CLASSES)
        self.mask_folder = mask_folder
        self.mask_id_shift = check_shift(mask_id_shift)
        self.require_masks = require_masks
        metainfo = metainfo_of(self.categories, metainfo)
        super().__init__(data_root=data_root, metainfo=metainfo, **kwargs)

    @classmethod
    def describe(
        cls,
        data_root: str,
        *,
        classes: Iterable[str] | None = None,
        lists: Mapping[str, str | None] | None = None,
        mask_folder: str = _MASKS,
        **settings: Any,
    ) -> DataDescription:
        """Its splits are the lists that are there; of each, the first names are looked up."""
        root = Path(data_root)
        files = {role: _list_file(root, lists, role, missing_ok=True) for role in ROLES}
        splits = tuple(role for role in ROLES if files[role] is not None)
        masked = [
            role
            for role in splits
            if role != "train"
            and any(
                (root / mask_folder / f"{name}.png").is_file()
                for name in _read_list(files[role])[:_LOOKED_AT]
            )
        ]
        splits = tuple(role for role in splits if role in masked or role != "train-semi")
        return DataDescription(
            splits, tuple(masked), find_class_names(root, classes, "index", VOC_CLASSES)
        )

    @classmethod
    def recognises(cls, root: Path) -> Recognition | None:
        """VOC has photos in ``JPEGImages`` and lists in ``ImageSets/Segmentation``."""
        if not ((root / _PHOTOS).is_dir() and (root / _LISTS).is_dir()):
            return None
        stray = photo_outside(root, _KNOWN)
        return Recognition(
            sign=f"the folders {_PHOTOS!r} and {_LISTS!r} as VOC has them",
            doubt=None if stray is None else f"{stray} is a photo outside of them",
            use="the photos in its lists",
        )

    @property
    def num_classes(self) -> int:
        """C, the number of classes without 'other'."""
        return len(self.categories)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What is known of an item before the pipeline, for a draw or an index."""
        facts = {"num_mask_classes": self.num_classes, "mask_encoding": "index"}
        if self.mask_id_shift:
            facts["mask_id_shift"] = self.mask_id_shift
        return {**super().get_data_info(idx), **facts}

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the photos in the order of the list."""
        root = Path(self.data_root)
        photos, masks = root / _PHOTOS, root / self.mask_folder
        if not photos.is_dir():
            raise LussError(f"there is no folder {photos}; {root} holds {folder_content(root)}")
        names = _read_list(self.list_file)
        files = {
            stem: name
            for name in sorted(names_in(photos))
            for stem, suffix in [split_suffix(name)]
            if suffix in IMAGE_SUFFIXES
        }
        if absent := [name for name in names if name not in files]:
            raise LussError(
                f"{len(absent)} of the {len(names)} photos that {self.list_file} lists are not in "
                f"{photos}: {shown(absent)}"
            )
        has_mask = self.split != "train" and masks.is_dir()
        with_mask = names_in(masks) if has_mask else set()
        items = []
        for name in names:
            item = {"img_path": f"{photos}/{files[name]}", "image_id": name}
            if f"{name}.png" in with_mask:
                item["seg_map_path"] = f"{masks}/{name}.png"
            items.append(item)
        refuse_unusable_names(((files[name], name) for name in names), photos)
        say_once(f"{self.list_file}: {len(items):,} photos")
        if self.require_masks:
            refuse_missing_masks(items, masks, self.split)
        return items


def _list_file(
    root: str | Path, lists: Mapping[str, str | None] | None, split: str, missing_ok: bool = False
) -> Path | None:
    """The list of a split; None if it is not there and may be missing."""
    names = {**_SPLITS, **(lists or {})}
    if unknown := names.keys() - set(ROLES):
        raise LussError(f"data.lists names the splits {shown(sorted(unknown))}; known are {ROLES}")
    name = names.get(split)
    path = None if name is None else Path(root, _LISTS, f"{name.removesuffix('.txt')}.txt")
    if path is not None and path.is_file():
        return path
    if missing_ok:
        return None
    folder = Path(root, _LISTS)
    found = folder_content(folder) if folder.is_dir() else "nothing, as it is not there"
    raise LussError(
        f"there is no list {path} for the split {split!r}; {folder} holds {found}. Name lists by "
        "data.lists, such as dict(train='trainaug')"
    )


def _read_list(path: Path) -> list[str]:
    """Names of photos, the first word of each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LussError(f"cannot read the list {path}: {error}") from error
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise LussError(f"the list {path} is empty; it must name a photo on each line")
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise LussError(f"the list {path} names photos twice: {shown(twice)}")
    return names
