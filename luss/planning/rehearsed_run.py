"""A whole run on a few of the photos: whether every stage works here, and how long it takes."""

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine import Config

from luss.engine.progress import Position
from luss.files import temporary_folder
from luss.pipeline import Pipeline
from luss.planning.schedule import TRAINED

__all__ = ["Rehearsal", "rehearse_run"]

_PHOTOS = 8
_ITERATIONS = 6
_SHOWN = 24
_REPORT = 60
"""Photos that a report shows at most."""


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


def rehearse_run(config: Config, counts: Mapping[str, int], where: Path) -> Rehearsal:
    """Run all stages on a few photos in a temporary folder.

    Args:
        config: of the run, with batch sizes that fit.
        counts: split -> number of photos.
        where: folder in which the temporary folder is created.

    Raises:
        LussError: whatever the stages find wrong.
    """
    config = copy.deepcopy(config)
    photos = min(_PHOTOS, *counts.values())
    config.log_level = "ERROR"
    config.data = {**config.get("data", {}), "indices": photos}
    config.num_categories = min(config.num_categories, photos)
    # TensorBoard's threads would write into a folder that is gone.
    config.visualizer = {"type": "Visualizer", "vis_backends": None}
    batches = {}
    for name in TRAINED:
        stage = config.stages[name]
        loader = stage.train_dataloader
        labelled = stage.type == "FinetuneStage"
        seen = photos if labelled else min(counts["train"], _ITERATIONS * loader.batch_size)
        loader["batch_size"] = batches[name] = min(loader.batch_size, seen)
        loader.dataset["indices"] = seen
        stage.train_cfg["max_epochs"] = -(-_ITERATIONS // (seen // loader.batch_size))
    # In this process alone: no data loader is left over to be collected where the run forks.
    config.num_workers = 0
    start = time.monotonic()
    with temporary_folder(where) as folder:
        pipeline = Pipeline(config, str(Path(folder) / "rehearsal"))
        pipeline.run()
        seconds = time.monotonic() - start
    took = sum(stage.seconds for stage in pipeline.timings.values())
    return Rehearsal(photos, batches, pipeline.timings, seconds - took)


def _items(what: str, counts: Mapping[str, int]) -> int:
    """How many photos a pass of this name has."""
    if what.startswith("attention maps"):
        return min(_SHOWN, max(counts.values()))
    if what == "threshold":
        return counts.get("validation", counts["train"])
    return next((count for split, count in counts.items() if what.endswith(split)), counts["train"])
