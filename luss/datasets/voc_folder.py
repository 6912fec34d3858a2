"""Data in the layout of PASCAL VOC: photos, masks with a palette, and lists of splits."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from luss.datasets.class_names import find_class_names, metainfo_of
from luss.datasets.description import ROLES, DataDescription, Recognition
from luss.datasets.image_io import IMAGE_SUFFIXES, split_suffix
from luss.datasets.mask_codec import check_shift
from luss.datasets.photo_listing import check_names, log_once, photo_outside
from luss.datasets.reproducible import ReproducibleDataset
from luss.datasets.split_root import folder_content, names_in
from luss.errors import LussError, shorten
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

    Photos are in ``JPEGImages``, masks of the same names in ``SegmentationClass`` (PNG with a
    palette or one channel: 0 is 'other', 255 is ignored), and ``ImageSets/Segmentation/<list>.txt``
    lists the names of a split. ``train`` and ``train-semi`` use the same list; the masks of
    ``train`` are not read.

    An item has ``img_path``, ``image_id`` (its name in the list), ``num_mask_classes``,
    ``mask_encoding`` and, if it has a mask, ``seg_map_path``.

    Args:
        data_root: the folder, such as ``VOCdevkit/VOC2012``.
        split: one of ``ROLES``.
        classes: names of the classes 1..C; by default the lines of ``classes.txt`` in the root,
            or the 20 of VOC.
        lists: split -> name of its list, to override defaults, such as ``{'train': 'trainaug'}``;
            None disables a split.
        mask_folder: folder of the masks in the root.
        mask_id_shift: added to all mask ids except 'ignore', such as 1 if 0 is the first class.
        metainfo: updates to the metainfo, such as ``palette``.
        **kwargs: see ``ReproducibleDataset``.

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
        metainfo: Mapping[str, Any] | None = None,
        **kwargs,
    ) -> None:
        self.split = split
        self.list_file = _require_list(data_root, lists, split)
        self.categories = find_class_names(data_root, classes, "index", VOC_CLASSES)
        self.masks = Path(data_root, mask_folder)
        self.mask_id_shift = check_shift(mask_id_shift)
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
        """Describe the splits whose lists exist; masks are searched for the first names only."""
        root = Path(data_root)
        files = {role: _list_file(root, lists, role) for role in ROLES}
        masked = [
            role
            for role, path in files.items()
            if role != "train"
            and path is not None
            and path.is_file()
            and any(
                (root / mask_folder / f"{name}.png").is_file()
                for name in _read_list(path)[:_LOOKED_AT]
            )
        ]
        splits = tuple(
            role
            for role, path in files.items()
            if path is not None and path.is_file() and (role in masked or role != "train-semi")
        )
        return DataDescription(
            splits, tuple(masked), find_class_names(root, classes, "index", VOC_CLASSES)
        )

    @classmethod
    def recognises(cls, root: Path) -> Recognition | None:
        """Recognise VOC by ``JPEGImages`` and ``ImageSets/Segmentation``."""
        if not ((root / _PHOTOS).is_dir() and (root / _LISTS).is_dir()):
            return None
        stray = photo_outside(root, _KNOWN)
        return Recognition(
            sign=f"the folders {_PHOTOS!r} and {_LISTS!r} of VOC",
            doubt=None if stray is None else f"{stray} is a photo outside of them",
            use="the photos in its lists",
        )

    @property
    def num_classes(self) -> int:
        """C, the number of classes without 'other'."""
        return len(self.categories)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the item of a draw or an index as it is before the pipeline."""
        facts: dict[str, Any] = {"num_mask_classes": self.num_classes, "mask_encoding": "index"}
        if self.mask_id_shift:
            facts["mask_id_shift"] = self.mask_id_shift
        return {**super().get_data_info(idx), **facts}

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the photos in the order of the list."""
        root = Path(self.data_root)
        photos, masks = root / _PHOTOS, self.masks
        if not photos.is_dir():
            raise LussError(
                f"the folder {photos} is missing; {root} contains {folder_content(root)}. Correct "
                "data_root"
            )
        names = _read_list(self.list_file)
        files = {
            stem: name
            for name in sorted(names_in(photos))
            for stem, suffix in [split_suffix(name)]
            if suffix in IMAGE_SUFFIXES
        }
        if missing := [name for name in names if name not in files]:
            raise LussError(
                f"{len(missing)} of the {len(names)} photos in {self.list_file} are missing in "
                f"{photos}: {shorten(missing)}. Add them or correct the list"
            )
        has_mask = self.split != "train" and masks.is_dir()
        with_mask = names_in(masks) if has_mask else set()
        items = []
        for name in names:
            item = {"img_path": f"{photos}/{files[name]}", "image_id": name}
            if f"{name}.png" in with_mask:
                item["seg_map_path"] = f"{masks}/{name}.png"
            items.append(item)
        check_names(((files[name], name) for name in names), photos)
        log_once(f"{self.list_file}: {len(items):,} photos")
        return items


def _list_file(root: str | Path, lists: Mapping[str, str | None] | None, split: str) -> Path | None:
    """Return the path of a split's list, which may be missing; None if the split is disabled."""
    names = {**_SPLITS, **(lists or {})}
    if unknown := names.keys() - set(ROLES):
        raise LussError(
            f"data.lists contains the unknown splits {shorten(sorted(unknown))}. Expected some of "
            f"{', '.join(ROLES)}"
        )
    name = names.get(split)
    return None if name is None else Path(root, _LISTS, f"{name.removesuffix('.txt')}.txt")


def _require_list(root: str | Path, lists: Mapping[str, str | None] | None, split: str) -> Path:
    path = _list_file(root, lists, split)
    if path is not None and path.is_file():
        return path
    folder = Path(root, _LISTS)
    found = f"contains {folder_content(folder)}" if folder.is_dir() else "is missing"
    raise LussError(
        f"the list {path} of the split {split!r} is missing; {folder} {found}. Set data.lists, "
        "such as dict(train='trainaug')"
    )


def _read_list(path: Path) -> list[str]:
    """Return the names of photos, the first word of each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LussError(f"cannot read the list {path}: {error}") from error
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise LussError(f"the list {path} is empty. Write the name of a photo on each line")
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise LussError(f"the list {path} contains photos twice: {shorten(twice)}. Remove them")
    return names
