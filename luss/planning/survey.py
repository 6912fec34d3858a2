"""Survey of a folder of photos: its data set, sizes and masks."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope

from luss.config_checks import check_settings
from luss.datasets import describe, kind_of_data, reproducible_dataset, split_config
from luss.datasets.description import DataDescription
from luss.datasets.image_io import UnreadableImageError, image_header, read_image
from luss.datasets.photo_lists import ListedPhotos
from luss.errors import LussError
from luss.visualization.gallery import evenly_spaced

__all__ = ["Survey", "data_settings", "survey"]

_MEASURED = 500
_TIMED = 3
_LARGE = 1000
_SUFFICES = 320
"""Short side in pixels; the configs of `luss train` resize photos to less."""

_FEWEST = 10
"""Number of photos below which a run learns little."""


@dataclass(frozen=True)
class Survey:
    """Result of the survey.

    Attributes:
        root: the folder.
        kind: class name of the data set.
        description: splits, masks and classes.
        listed: the photos, listed once for the complete run.
        datasets: ``train`` and splits with masks -> their data sets, without pipelines.
        counts: split -> number of photos.
        short_sides: minimum, median and maximum of the short sides, in pixels.
        photo_seconds: median time to read a photo.
    """

    root: Path
    kind: str
    description: DataDescription
    listed: ListedPhotos
    datasets: dict[str, BaseDataset]
    counts: dict[str, int]
    short_sides: tuple[int, int, int]
    photo_seconds: float

    @property
    def photos(self) -> int:
        """Number of photos to train on."""
        return self.counts["train"]

    def num_categories(self, given: int | None) -> int:
        """Return the number of categories to discover.

        Args:
            given: by the user, or None.

        Raises:
            LussError: if the number is unknown, or larger than the number of photos.
        """
        number = self.description.num_classes if given is None else given
        if number is None:
            raise LussError(
                f"the number of categories in {self.root} is unknown, because its layout does "
                "not define it, as train/<class>/ of ImageNet-S does; add --categories C, such as "
                "--categories 20 (rather too many than too few)"
            )
        if number < 1 or number > self.photos:
            possible = (
                f"a number from 1 to {self.photos}" if self.photos > 1 else "1, or add photos"
            )
            raise LussError(
                f"--categories is {number}, which cannot be found in {self._counted()}; give "
                f"{possible} (ten or more photos per category work well)"
            )
        return number

    def summary(self) -> str:
        """Return a sentence on sizes and masks, with hints if photos are few or large."""
        low, middle, high = self.short_sides
        span = f"{low} px" if low == high else f"{low} to {high} px, mostly {middle} px"
        sizes = f"the short side is {span}"
        if self.description.measured:
            masks = (
                f"there are true masks of {', '.join(self.description.measured)}, used for metrics"
            )
        else:
            masks = "there are no true masks (only metrics need them)"
        few = ""
        if self.photos < _FEWEST:
            few = f"; {self._counted()} may be too few, use ten or more per category"
        large = ""
        if middle > _LARGE:
            large = (
                f"; reading a photo takes {self.photo_seconds:.2g} s, and training resizes all "
                f"photos: copies with a short side of {_SUFFICES} px suffice"
            )
        return f"{sizes}; {masks}{large}{few}"

    def _counted(self) -> str:
        return "1 photo" if self.photos == 1 else f"{self.photos} photos"


def survey(root: str, data: dict[str, Any] | None = None) -> Survey:
    """Survey a folder; the log lists how many photos were found and which were skipped.

    Args:
        root: the folder.
        data: settings of the data set, such as ``type``.

    Raises:
        LussError: if ``root`` is not a folder, fits several data sets, or has no readable photos.
    """
    init_default_scope("luss")
    check_settings({"data": data or {}})
    path = Path(root).expanduser()
    if path.is_file() and path.suffix == ".py":
        raise LussError(f"{path} is a config, not a folder of photos; run it with: luss run {path}")
    if not path.is_dir():
        if path.is_file():
            raise LussError(f"{path} is a file; give the folder that contains the photos")
        raise LussError(
            f"there is no folder {path} (absolute path: {path.absolute()}); give the folder that "
            "contains the photos"
        )
    settings = {"type": "auto", **(data or {}), "data_root": str(path)}
    if settings["type"] == "auto":
        settings["type"] = kind_of_data(path)
    found = describe(settings)
    if "train" not in found.splits:
        raise LussError(
            f"{path}, read as {settings['type']}, has no split 'train', which training needs; its "
            f"splits are: {', '.join(found.splits)}"
        )
    splits = dict.fromkeys(("train", *found.measured))
    listed = ListedPhotos()
    configs = {split: reproducible_dataset(split_config(settings, split)) for split in splits}
    datasets = {split: listed.dataset(config) for split, config in configs.items()}
    return Survey(
        root=path,
        kind=settings["type"],
        description=found,
        listed=listed,
        datasets=datasets,
        counts={split: len(dataset) for split, dataset in datasets.items()},
        short_sides=_short_sides(datasets["train"], path),
        photo_seconds=_photo_seconds(datasets["train"]),
    )


def data_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the data set in options such as ``data.type=PhotoFolder``."""
    config = Config({"data": {}})
    config.merge_from_dict({key: options[key] for key in options if key.startswith("data.")})
    return config.data.to_dict()


def _sample_paths(dataset: BaseDataset, most: int) -> list[str]:
    indices = evenly_spaced(len(dataset), most).tolist()
    return [dataset.get_data_info(index)["img_path"] for index in indices]


def _photo_seconds(dataset: BaseDataset) -> float:
    """Return the median time to read a photo."""
    seconds = []
    for path in _sample_paths(dataset, _TIMED):
        start = time.perf_counter()
        with contextlib.suppress(UnreadableImageError):
            read_image(path)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def _short_sides(dataset: BaseDataset, root: Path) -> tuple[int, int, int]:
    """Return minimum, median and maximum of the short sides of up to 500 photos."""
    sides, errors = [], []
    for path in _sample_paths(dataset, _MEASURED):
        try:
            sides.append(min(image_header(path).shape))
        except UnreadableImageError as error:
            errors.append(error)
    if not sides:
        raise LussError(
            f"cannot read any of {len(errors)} photos tried of {root}; the first error: {errors[0]}"
        )
    return min(sides), int(np.median(sides)), max(sides)
