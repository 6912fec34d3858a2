"""What a folder of photos holds, as far as a run needs to know."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import Config
from mmengine.registry import init_default_scope

from luss.datasets import describe, kind_of_data, reproducible_dataset, split_config
from luss.datasets.description import DataDescription
from luss.datasets.image_io import UnreadableImageError, image_size, read_image
from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["Survey", "data_settings", "split_of_data", "survey"]

_MEASURED = 500
_TIMED = 3
_LARGE = 1000
_SUFFICES = 320
"""Pixels; the configs of `luss train` resize photos to fewer, and cut small views out of them."""

_FEWEST = 10
"""Photos that a run can learn something from."""


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        root: the folder.
        settings: of the data set that it is read as.
        description: its splits, masks and classes.
        counts: split -> number of photos.
        short_sides: shortest, median and longest short side, in pixels.
        photo_seconds: median time to read a photo.
    """

    root: Path
    settings: dict[str, Any]
    description: DataDescription
    counts: dict[str, int]
    short_sides: tuple[int, int, int]
    photo_seconds: float

    @property
    def kind(self) -> str:
        """Name of the data set that it is read as."""
        return self.settings["type"]

    @property
    def photos(self) -> int:
        """Number of photos to train on."""
        return self.counts["train"]

    def num_categories(self, given: int | None) -> int:
        """Categories to discover.

        Args:
            given: by the user, or None.

        Raises:
            LussError: if there is no number, or there are fewer photos.
        """
        number = self.description.num_classes if given is None else given
        if number is None:
            raise LussError(
                f"{self.root} has no class folders that would tell how many categories to look "
                "for; add --categories C, such as --categories 20 (too many do less harm than too "
                "few)"
            )
        if number < 1 or number > self.photos:
            possible = (
                f"a number from 1 to {self.photos}" if self.photos > 1 else "1, or add photos"
            )
            raise LussError(
                f"{number} categories are to be found in {self._photos_said()}; give --categories "
                f"{possible} (ten photos or more of each category are good)"
            )
        return number

    def said(self) -> str:
        """A sentence on sizes, masks, and whether the photos suffice."""
        low, middle, high = self.short_sides
        span = f"{low} px" if low == high else f"{low} to {high} px, mostly {middle} px"
        sizes = f"the short side is {span}"
        if self.description.measured:
            masks = f"true masks of {', '.join(self.description.measured)} are there for metrics"
        else:
            masks = "there are no true masks, which are needed for metrics alone"
        few = ""
        if self.photos < _FEWEST:
            few = (
                f"; {self._photos_said()} {'is' if self.photos == 1 else 'are'} too few to learn "
                "much from, ten or more of each category are good"
            )
        large = ""
        if middle > _LARGE:
            large = (
                f"; it takes {self.photo_seconds:.2g} s to read a photo, and training resizes all: "
                f"smaller copies with a short side of {_SUFFICES} px suffice"
            )
        return f"{sizes}; {masks}{large}{few}"

    def _photos_said(self) -> str:
        return "1 photo" if self.photos == 1 else f"{self.photos} photos"


def survey(root: str, data: dict[str, Any] | None = None) -> Survey:
    """Look at a folder; the log says how many photos of which kind were found and left out.

    Args:
        root: the folder.
        data: settings of the data set, such as ``type``.

    Raises:
        LussError: if it is no folder, may be of several kinds, or has no photos that can be read.
    """
    init_default_scope("luss")
    path = Path(root).expanduser()
    if path.is_file() and path.suffix == ".py":
        raise LussError(f"{path} is a config, not a folder of photos; run it by: luss run {path}")
    if not path.is_dir():
        if path.is_file():
            raise LussError(f"{path} is a file; give the folder that holds the photos")
        raise LussError(
            f"there is no folder {path}; give the folder that holds the photos (this one was "
            f"looked for as {path.absolute()})"
        )
    settings = {"type": "auto", **(data or {}), "data_root": str(path)}
    if settings["type"] == "auto":
        settings["type"] = kind_of_data(path)
    found = describe(settings)
    if "train" not in found.splits:
        raise LussError(
            f"{path} is read as {settings['type']} and has no split 'train' to learn from, but "
            f"{', '.join(found.splits)}"
        )
    splits = dict.fromkeys(("train", *found.measured))
    datasets = {split: split_of_data(settings, split) for split in splits}
    return Survey(
        root=path,
        settings=settings,
        description=found,
        counts={split: len(dataset) for split, dataset in datasets.items()},
        short_sides=_short_sides(datasets["train"], path),
        photo_seconds=_photo_seconds(datasets["train"]),
    )


def data_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the data set in options such as ``data.type=PhotoFolder``."""
    config = Config({"data": {}})
    config.merge_from_dict({key: options[key] for key in options if key.startswith("data.")})
    return config.data.to_dict()


def split_of_data(settings: dict[str, Any], split: str):
    """The photos of a split, without loading any."""
    config = reproducible_dataset(split_config(settings, split))
    return DATASETS.build({**config, "pipeline": []})


def _spread(dataset, count: int) -> list[str]:
    """Return paths of up to ``count`` photos, evenly spaced."""
    indices = np.linspace(0, len(dataset) - 1, min(len(dataset), count)).astype(int)
    return [dataset.get_data_info(int(index))["img_path"] for index in indices]


def _photo_seconds(dataset) -> float:
    """Return the median time to read a photo; those that cannot be read take none."""
    seconds = []
    for path in _spread(dataset, _TIMED):
        start = time.perf_counter()
        with contextlib.suppress(UnreadableImageError):
            read_image(path)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def _short_sides(dataset, root: Path) -> tuple[int, int, int]:
    """Of up to 500 photos, spread over all."""
    sides, errors = [], []
    for path in _spread(dataset, _MEASURED):
        try:
            sides.append(min(image_size(path)))
        except UnreadableImageError as error:
            errors.append(error)
    if not sides:
        raise LussError(
            f"none of {len(errors)} photos of {root} that were tried can be read; the first: "
            f"{errors[0]}"
        )
    return min(sides), int(np.median(sides)), max(sides)
