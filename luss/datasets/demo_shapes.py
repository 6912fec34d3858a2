"""The built-in demo data: a small ImageNet-S split root, drawn from a seed."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from luss.datasets.demo_scene import CATEGORIES, draw_scene
from luss.datasets.mask_codec import IGNORE_ID, encode_mask
from luss.errors import LussError
from luss.files import write_json

__all__ = ["draw_demo_data"]

# Increment whenever the same seed gives other pictures.
_VERSION = 2

_RECORD = "demo.json"


def draw_demo_data(
    root: str | os.PathLike,
    *,
    seed: int = 0,
    train: int = 200,
    train_semi: int = 10,
    validation: int = 40,
    test: int = 40,
    size: int = 96,
) -> Path:
    """Draw the demo data, an ImageNet-S split root of six categories, unless it exists.

    The data are drawn into a temporary folder that is renamed to ``root`` when complete. The same
    seed gives the same bytes; a picture does not depend on the number of pictures. ``train-semi``
    repeats the first pictures of ``train``; its masks contain only the main object and ignore
    others, as in ImageNet-S.

    Args:
        root: folder of the data; missing, empty, or with the same demo data.
        seed: random seed.
        train: number of training pictures of each category.
        train_semi: number of them that come with a mask, at most ``train``.
        validation: number of validation pictures of each category, with masks.
        test: number of test pictures of each category, with masks.
        size: side of a picture in pixels, at least 32.

    Returns:
        ``root``.

    Raises:
        LussError: if a number is out of range, or ``root`` contains other files, or demo data of
            other numbers, another seed or another version of the generator.
    """
    root = Path(root)
    counts = {"train": train, "train-semi": train_semi, "validation": validation, "test": test}
    if min(counts.values()) < 1 or train_semi > train or size < 32:
        raise LussError(
            f"demo data cannot have {counts} pictures per category with side {size}. Each number "
            "must be at least 1, train-semi at most train, and the side at least 32"
        )
    record = {"generator": "demo_shapes", "version": _VERSION, "seed": seed, "size": size}
    record["pictures_a_category"] = counts
    if _is_drawn(root, record):
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}."))
    try:
        unfinished.chmod(0o755)
        for category, name in enumerate(CATEGORIES, 1):
            for number, split in enumerate(("train", "validation", "test")):
                labelled = train_semi if split == "train" else counts[split]
                for index in range(counts[split]):
                    source = np.random.default_rng([seed, number, category, index])
                    picture, mask = draw_scene(category, size, source)
                    stem = f"{name}/{name}_{split}_{index:05d}"
                    _write(unfinished, split, stem, picture, mask, category, index < labelled)
        write_json(unfinished / _RECORD, record)
        try:
            unfinished.rename(root)
        except OSError:
            # Another process may have finished first.
            if not _is_drawn(root, record):
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return root


def _write(
    root: Path,
    split: str,
    stem: str,
    picture: NDArray[np.uint8],
    mask: NDArray[np.int32],
    category: int,
    labelled: bool,
) -> None:
    _, jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    files = {f"{split}/{stem}.JPEG": jpeg}
    if labelled:
        if split == "train":
            split = "train-semi"
            files[f"{split}/{stem}.JPEG"] = jpeg
            mask = np.where((mask == 0) | (mask == category), mask, IGNORE_ID)
        files[f"{split}-segmentation/{stem}.png"] = cv2.imencode(
            ".png", encode_mask(mask)[..., ::-1]
        )[1]
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.tobytes())


def _is_drawn(root: Path, record: dict[str, Any]) -> bool:
    """Return whether ``root`` contains these demo data; False if it is missing or empty."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    advice = "Choose another folder, or delete this one if you do not need it"
    try:
        found = json.loads((root / _RECORD).read_text())
    except (OSError, ValueError) as error:
        raise LussError(
            f"{root} is not empty and contains no demo data (no readable {_RECORD}). {advice}"
        ) from error
    if found != record:
        raise LussError(f"{root} contains demo data of {found}, expected {record}. {advice}")
    for split, count in record["pictures_a_category"].items():
        folders = [split] if split == "train" else [split, f"{split}-segmentation"]
        for folder in folders:
            files = sum(1 for _ in (root / folder).glob("*/*.*"))
            if files != count * len(CATEGORIES):
                raise LussError(
                    f"the demo data in {root} are incomplete: {folder} contains {files} files, "
                    f"expected {count * len(CATEGORIES)}. Delete {root} to draw them again"
                )
    return True
