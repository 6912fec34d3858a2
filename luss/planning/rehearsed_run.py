"""A whole run on a few of the photos: whether every stage works here, and how long it takes."""

import copy
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine import Config

from luss.datasets.image_io import UnreadableImageError, open_image
from luss.engine.progress import Position
from luss.errors import LussError
from luss.files import temporary_folder
from luss.pipeline import Pipeline
from luss.planning.schedule import TRAINED
from luss.planning.survey import split_of_data

__all__ = ["Rehearsal", "Sample", "rehearse_run", "sample_for", "unreadable_photos"]

_PHOTOS = 8
_ITERATIONS = 6
_FEWEST_ITERATIONS = 3
"""The first of them is not timed."""

_READS = 20
"""Times that a photo of each split is read, or work of as long a time is done on it."""

_SHOWN = 24
_REPORT = 60
"""Photos that a report shows at most."""


@dataclass(frozen=True)
class Sample:
    """How much of a run the dry run does.

    Attributes:
        photos: of each split.
        iterations: of each stage that trains.
        batch_size: largest one.
    """

    photos: int
    iterations: int
    batch_size: int


def sample_for(batch_size: int, photo_seconds: float, seconds: float) -> Sample:
    """Return as large a sample, up to eight photos and six iterations, as the time allows.

    Args:
        batch_size: of the run.
        photo_seconds: to read one photo; what large photos cost grows with it.
        seconds: for the dry run, without what small photos take.
    """
    trained = len(TRAINED) * _ITERATIONS * batch_size
    share = seconds / (photo_seconds * (_READS * _PHOTOS + trained))
    if share >= 1:
        return Sample(_PHOTOS, _ITERATIONS, batch_size)
    smaller = int(share * _ITERATIONS * batch_size / _FEWEST_ITERATIONS)
    return Sample(
        max(2, int(share * _PHOTOS)), _FEWEST_ITERATIONS, min(batch_size, max(2, smaller))
    )


@dataclass(frozen=True)
class Rehearsal:
    """What it told.

    Attributes:
        photos: of each split.
        batches: stage -> batch size it was timed with.
        stages: how each stage went.
        checks: seconds before the first stage.
    """

    photos: int
    batches: Mapping[str, int]
    stages: Mapping[str, Position]
    checks: float

    def epoch_seconds(self, stage: str, photos: int, batch_size: int) -> float:
        """Of a stage that trains, with its own number of photos and batch size."""
        per_photo = self.stages[stage].passes[-1].per_item / self.batches[stage]
        return max(photos // batch_size, 1) * batch_size * per_photo

    def other_seconds(self, counts: Mapping[str, int]) -> dict[str, float]:
        """Stage -> seconds beside its epochs, all photos of it and what happens once.

        Args:
            counts: split -> number of photos.
        """
        found = {}
        for name, stage in self.stages.items():
            once = stage.seconds - sum(one.total * one.per_item for one in stage.passes)
            seconds = max(once, 0.0)
            if name not in TRAINED:
                seconds += sum(one.per_item * _items(one.what, counts) for one in stage.passes)
            if name == "report":
                seconds *= max(1.0, min(sum(counts.values()), _REPORT) / (2 * self.photos))
            found[name] = seconds
        return found


def rehearse_run(
    config: Config, counts: Mapping[str, int], where: Path, sample: Sample
) -> Rehearsal:
    """Run all stages on a few photos in a temporary folder.

    Args:
        config: of the run, with batch sizes that fit.
        counts: split -> number of photos.
        where: folder in which the temporary folder is created.
        sample: how many photos are used.

    Raises:
        LussError: whatever the stages find wrong.
    """
    config = copy.deepcopy(config)
    data = {**config.get("data", {}), "data_root": config.data_root}
    without = unreadable_photos(data, counts, sample.photos)
    counts = {**counts, "train": counts["train"] - len(without)}
    photos = min(sample.photos, *counts.values())
    config.log_level = "ERROR"
    config.data = {**config.get("data", {}), "indices": photos}
    if without:
        config.data["without"] = without
    config.num_categories = min(config.num_categories, photos)
    # TensorBoard's threads would write into a folder that is gone.
    config.visualizer = {"type": "Visualizer", "vis_backends": None}
    batches = {}
    for name in TRAINED:
        stage = config.stages[name]
        loader = stage.train_dataloader
        labelled = stage.type == "FinetuneStage"
        batch_size = min(loader.batch_size, sample.batch_size)
        seen = photos if labelled else min(counts["train"], sample.iterations * batch_size)
        loader["batch_size"] = batches[name] = min(batch_size, seen)
        loader.dataset["indices"] = seen
        stage.train_cfg["max_epochs"] = -(-sample.iterations // (seen // loader.batch_size))
    # In this process alone: no data loader is left over to be collected where the run forks.
    config.num_workers = 0
    start = time.monotonic()
    with temporary_folder(where) as folder:
        pipeline = Pipeline(config, str(Path(folder) / "rehearsal"))
        pipeline.run()
        seconds = time.monotonic() - start
    took = sum(stage.seconds for stage in pipeline.timings.values())
    return Rehearsal(photos, batches, pipeline.timings, seconds - took)


def unreadable_photos(data: Mapping[str, Any], splits: Iterable[str], number: int) -> list[str]:
    """Return the ids of photos to train on that cannot be read, up to the first that can.

    Args:
        data: settings of the data set.
        splits: ``train``, and the splits that are measured.
        number: of readable photos in each split after which the search ends.

    Raises:
        LussError: if no photo of ``train`` can be read, or one of another split that the search
            meets cannot.
    """
    unreadable = []
    for split in splits:
        dataset, readable = split_of_data(dict(data), split), 0
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
                f"none of the {len(dataset)} photos of {split!r} in {data['data_root']} can be "
                "read; replace or remove them"
            )
    return unreadable


def _items(what: str, counts: Mapping[str, int]) -> int:
    """How many photos a pass of this name has."""
    if what.startswith("attention maps"):
        return min(_SHOWN, max(counts.values()))
    if what == "threshold":
        return counts.get("validation", counts["train"])
    return next((count for split, count in counts.items() if what.endswith(split)), counts["train"])
