"""What a folder of photos holds, as far as a run needs to know."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import init_default_scope

from luss.datasets import describe, kind_of_data, reproducible_dataset, split_config
from luss.datasets.description import DataDescription
from luss.datasets.image_io import TooLargeImageError, UnreadableImageError, image_size
from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["Survey", "split_of_data", "survey"]

_MEASURED = 500
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
    """

    root: Path
    settings: dict[str, Any]
    description: DataDescription
    counts: dict[str, int]
    short_sides: tuple[int, int, int]

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
        return f"{sizes}; {masks}{few}"

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
    )


def split_of_data(settings: dict[str, Any], split: str):
    """The photos of a split, without loading any."""
    config = reproducible_dataset(split_config(settings, split))
    return DATASETS.build({**config, "pipeline": []})


def _short_sides(dataset, root: Path) -> tuple[int, int, int]:
    """Of up to 500 photos, spread over all."""
    sides = []
    for index in np.linspace(0, len(dataset) - 1, min(len(dataset), _MEASURED)).astype(int):
        try:
            sides.append(min(image_size(dataset.get_data_info(int(index))["img_path"])))
        except (UnreadableImageError, TooLargeImageError):
            continue
    if not sides:
        raise LussError(f"no photo of {root} can be read; luss check {root} names them")
    return min(sides), int(np.median(sides)), max(sides)
