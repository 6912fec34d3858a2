"""Preparation of ImageNet-S split roots from ImageNet-1k, equal to the ImageNet-S toolbox's."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from luss.datasets.image_io import IMAGE_SUFFIXES, split_suffix
from luss.datasets.imagenet_s_lists import EXPECTED, MERGED_CATEGORIES, Lists, read_lists
from luss.datasets.mask_archive import unpack_masks
from luss.errors import LussError, Problems
from luss.files import is_system_name

__all__ = ["Report", "prepare"]


@dataclass
class Report:
    """Numbers of files in a prepared split root, and missing files.

    Attributes:
        root: the split root.
        counts: part of the split root -> (number found, number expected).
        missing: the missing files.
    """

    root: Path
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    missing: Problems = field(default_factory=Problems)

    @property
    def is_complete(self) -> bool:
        """Whether all numbers equal the paper's and nothing is missing."""
        return not self.missing and all(found == due for found, due in self.counts.values())

    def __str__(self) -> str:
        """Return the counts, and the first ten missing files of each kind."""
        lines = [f"{self.root}: {'complete' if self.is_complete else 'NOT COMPLETE'}"]
        for part, (found, due) in self.counts.items():
            verdict = "" if found == due else "  (fewer)" if found < due else "  (more)"
            lines.append(f"  {part:<26}{found:>11,} of {due:>9,}{verdict}")
        return "\n".join([*lines, str(self.missing)]).rstrip()


def prepare(
    imagenet: str | os.PathLike,
    lists: str | os.PathLike,
    annotations: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    splits: Sequence[int] = (50, 300, 919),
    *,
    copy: bool = False,
) -> list[Report]:
    """Build split roots ``OUT/ImageNetS{C}``; keep existing files and add missing ones.

    Args:
        imagenet: folder with ImageNet's ``train/<wnid>`` and ``val``, which may be flat or nested.
        lists: the ImageNet-S toolbox, or its folder ``data``.
        annotations: zip files of masks; without them, only photos are placed.
        out: folder of the split roots.
        splits: numbers of classes C.
        copy: copy photos instead of linking to them.

    Returns:
        A report for each split.

    Raises:
        LussError: if a folder, list or zip is missing or a zip is not trustworthy.
    """
    imagenet, out = Path(imagenet).resolve(), Path(out)
    for part in ("train", "val"):
        if not (imagenet / part).is_dir():
            raise LussError(
                f"the folder {imagenet / part} is missing. Set --imagenet to the folder of "
                "ImageNet-1k, which contains 'train' and 'val'"
            )
    unknown = sorted(set(splits) - set(EXPECTED))
    if unknown:
        raise LussError(f"unknown splits {unknown}. Expected some of {list(EXPECTED)}")
    listed = {split: read_lists(lists, split) for split in splits}
    roots = {split: out / f"ImageNetS{split}" for split in splits}
    for archive in annotations:
        if not unpack_masks(archive, roots):
            raise LussError(
                f"the zip {archive} contains no masks of ImageNetS"
                f"{' or ImageNetS'.join(map(str, splits))}. Give the zip of one of these splits"
            )
    held_out = _index(imagenet / "val")
    return [
        _prepare_split(imagenet / "train", held_out, listed[split], roots[split], split, copy)
        for split in splits
    ]


def _prepare_split(
    train: Path, held_out: dict[str, Path], lists: Lists, root: Path, split: int, copy: bool
) -> Report:
    report = Report(root)
    expected = EXPECTED[split]
    merged = MERGED_CATEGORIES if split == 919 else {}
    sources: dict[str, list[str]] = {category: [category] for category in lists.categories}
    for source, target in merged.items():
        sources[target].append(source)
    for name in (name for names in sources.values() for name in names):
        if not (train / name).is_dir():
            report.missing.add("missing class folders of ImageNet's train", name)
    found = 0
    for category, names in sources.items():
        folders = [train / name for name in names if (train / name).is_dir()]
        found += _place_folders(folders, root / "train" / category, copy)
    report.counts["train"] = (found, expected.train)
    if expected.train_full is not None:
        folders = sorted(
            folder
            for folder in train.iterdir()
            if folder.is_dir() and not is_system_name(folder.name)
        )
        found = sum(
            _place_folders([folder], root / "train-full" / folder.name, copy) for folder in folders
        )
        report.counts["train-full"] = (found, expected.train_full)

    labelled = []
    for image in lists.train_semi:
        name = Path(image).name
        labelled.append((train / name.split("_")[0] / name, image))
    parts = {
        "train-semi": labelled,
        "validation": [(held_out.get(name, Path(name)), image) for name, image in lists.validation],
        "test": [(held_out.get(name, Path(name)), image) for name, image in lists.test],
    }
    for part, images in parts.items():
        found = len(images)
        for photo, image in images:
            if photo.is_file():
                _place(photo, root / part / image, copy)
            elif not (root / part / image).is_file():
                report.missing.add(f"missing photos of {part}", f"{photo} (for {image})")
                found -= 1
        report.counts[part] = (found, getattr(expected, part.replace("-", "_")))
    for part, masks in lists.masks.items():
        folder = root / f"{part}-segmentation"
        missing = [mask for mask in masks if not (folder / mask).is_file()]
        for mask in missing:
            report.missing.add(f"missing masks of {part}", mask)
        due = getattr(expected, part.replace("-", "_"))
        report.counts[folder.name] = (len(masks) - len(missing), due)
    return report


def _index(folder: Path) -> dict[str, Path]:
    """Map the file names of all photos in or below ``folder`` to their paths."""
    return {
        name: Path(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
    }


def _photos(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [
            entry.name
            for entry in entries
            if split_suffix(entry.name)[1] in IMAGE_SUFFIXES and not is_system_name(entry.name)
        ]


def _place_folders(sources: list[Path], target: Path, copy: bool) -> int:
    """Place the photos of ``sources`` into ``target`` and return their number.

    A single folder becomes one link; several folders, or copies, become a folder of files.
    """
    if not copy and len(sources) == 1:
        if target.is_dir() and not target.is_symlink():
            # An earlier run copied files, or merged folders: complete the folder, do not delete it.
            return _place_files(sources, target, copy)
        _link(sources[0], target)
        return len(_photos(target))
    if target.is_symlink():
        target.unlink()
    return _place_files(sources, target, copy)


def _place_files(sources: list[Path], target: Path, copy: bool) -> int:
    target.mkdir(parents=True, exist_ok=True)
    for source in sources:
        for name in _photos(source):
            _place(source / name, target / name, copy)
    return len(_photos(target))


def _place(source: Path, target: Path, copy: bool) -> None:
    if not copy:
        # Keep a copy from an earlier run.
        if target.is_symlink() or not target.exists():
            _link(source, target)
        return
    is_copy = target.is_file() and not target.is_symlink()
    if is_copy and target.stat().st_size == source.stat().st_size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        # Mode x never follows an existing link.
        with source.open("rb") as photo, unfinished.open("xb") as file:
            shutil.copyfileobj(photo, file)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    if target.is_symlink() and target.readlink() == source:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(source)
    unfinished.replace(target)
