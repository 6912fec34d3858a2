"""Dry run of all stages on a few photos: checks that they work, and measures the time."""

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine import Config
from mmengine.dataset import BaseDataset

from luss.datasets.image_io import UnreadableImageError, open_image
from luss.engine.progress import Position
from luss.errors import LussError
from luss.files import temporary_folder
from luss.pipeline import Pipeline
from luss.planning.schedule import trained_stages
from luss.planning.survey import Survey

__all__ = ["DryRun", "Sample", "dry_run", "sample_for", "unreadable_photos"]

_PHOTOS = 8
_ITERATIONS = 6
_FEWEST_ITERATIONS = 3
"""The first iteration is not timed."""

_READS = 20
"""How often a photo of each split is read, other work counted as reads of the same duration."""

_SHOWN = 24
_REPORT = 60
"""Largest number of photos in a report."""


@dataclass(frozen=True)
class Sample:
    """Size of the dry run.

    Attributes:
        photos: of each split.
        iterations: of each training stage.
        batch_size: largest batch size.
    """

    photos: int
    iterations: int
    batch_size: int


def sample_for(batch_size: int, photo_seconds: float, seconds: float, stages: int = 3) -> Sample:
    """Return the largest sample that fits in the time, up to eight photos and six iterations.

    Args:
        batch_size: of the run.
        photo_seconds: to read one photo; large photos take longer.
        seconds: available for reading photos in the dry run.
        stages: number of stages that train.
    """
    trained = stages * _ITERATIONS * batch_size
    share = seconds / (photo_seconds * (_READS * _PHOTOS + trained))
    if share >= 1:
        return Sample(_PHOTOS, _ITERATIONS, batch_size)
    smaller = int(share * _ITERATIONS * batch_size / _FEWEST_ITERATIONS)
    return Sample(
        max(2, int(share * _PHOTOS)), _FEWEST_ITERATIONS, min(batch_size, max(2, smaller))
    )


@dataclass(frozen=True)
class DryRun:
    """Timing of each stage.

    Attributes:
        photos: of each split.
        batches: stage that trains -> batch size in the dry run.
        stages: stage -> its progress and duration.
        checks: seconds before the first stage.
    """

    photos: int
    batches: Mapping[str, int]
    stages: Mapping[str, Position]
    checks: float

    def epoch_seconds(self, stage: str, photos: int, batch_size: int) -> float:
        """Estimate the seconds per epoch of a training stage for other photos and batch sizes."""
        per_photo = self.stages[stage].passes[-1].per_item / self.batches[stage]
        return max(photos // batch_size, 1) * batch_size * per_photo

    def other_seconds(self, counts: Mapping[str, int]) -> dict[str, float]:
        """Estimate the seconds of each stage without its epochs.

        Args:
            counts: split -> number of photos.

        Returns:
            Stage -> seconds.
        """
        found = {}
        for name, stage in self.stages.items():
            once = stage.seconds - sum(one.total * one.per_item for one in stage.passes)
            seconds = max(once, 0.0)
            if name not in self.batches:
                seconds += sum(one.per_item * _items(one.what, counts) for one in stage.passes)
            if name == "report":
                seconds *= max(1.0, min(sum(counts.values()), _REPORT) / (2 * self.photos))
            found[name] = seconds
        return found


def dry_run(config: Config, found: Survey, where: Path, sample: Sample) -> DryRun:
    """Run all stages on a few photos in a temporary folder.

    Args:
        config: of the run, with its final batch sizes.
        found: the survey of the photos.
        where: parent of the temporary folder.
        sample: numbers of photos and iterations.

    Raises:
        LussError: as the stages.
    """
    config = copy.deepcopy(config)
    without = unreadable_photos(found.datasets, sample.photos)
    counts = {**found.counts, "train": found.photos - len(without)}
    photos = min(sample.photos, *counts.values())
    config.log_level = "ERROR"
    config.data = {**config.get("data", {}), "indices": photos}
    if without:
        config.data["without"] = without
    config.num_categories = min(config.num_categories, photos)
    # TensorBoard's threads would write to the deleted folder.
    config.visualizer = {"type": "Visualizer", "vis_backends": None}
    batches = {}
    for name in trained_stages(config):
        stage = config.stages[name]
        loader = stage.train_dataloader
        labelled = any(step.type == "FindMask" for step in loader.dataset.pipeline)
        batch_size = min(loader.batch_size, sample.batch_size)
        seen = photos if labelled else min(counts["train"], sample.iterations * batch_size)
        loader["batch_size"] = batches[name] = min(batch_size, seen)
        loader.dataset["indices"] = seen
        stage.train_cfg["max_epochs"] = -(-sample.iterations // (seen // loader.batch_size))
    # Without workers: a leftover data loader could be garbage-collected when the run forks.
    config.num_workers = 0
    start = time.monotonic()
    with temporary_folder(where) as folder:
        pipeline = Pipeline(config, str(Path(folder) / "dry_run"), listed=found.listed)
        pipeline.run()
        seconds = time.monotonic() - start
    took = sum(stage.seconds for stage in pipeline.timings.values())
    return DryRun(photos, batches, pipeline.timings, seconds - took)


def unreadable_photos(datasets: Mapping[str, BaseDataset], number: int) -> list[str]:
    """Return the ids of unreadable training photos among the first photos.

    Args:
        datasets: ``train`` and splits with masks -> their data sets.
        number: stop after this many readable photos of each split.

    Raises:
        LussError: if no photo of ``train`` can be read, or a checked photo of another split
            cannot.
    """
    unreadable = []
    for split, dataset in datasets.items():
        readable = 0
        for item in map(dataset.get_data_info, range(len(dataset))):
            if readable == number:
                break
            try:
                open_image(item["img_path"])
                readable += 1
            except UnreadableImageError as error:
                if split != "train":
                    raise LussError(f"{split}: {error}; evaluation needs it") from error
                unreadable.append(item["image_id"])
        if not readable:
            raise LussError(
                f"cannot read any of the {len(dataset)} photos of {split!r} in "
                f"{dataset.data_root}; replace or remove them"
            )
    return unreadable


def _items(what: str, counts: Mapping[str, int]) -> int:
    """Return the number of photos of a pass, by its name."""
    if what.startswith("attention maps"):
        return min(_SHOWN, max(counts.values()))
    if what == "threshold":
        return counts.get("validation", counts["train"])
    return next((count for split, count in counts.items() if what.endswith(split)), counts["train"])
