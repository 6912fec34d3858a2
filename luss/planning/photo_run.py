"""A run of one's own photos, from the folder to the report."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import Config
from mmengine.logging import print_log

from luss.config_checks import check_settings
from luss.datasets.photo_lists import describe_difference, list_files, write_photo_list
from luss.engine.progress import clock
from luss.engine.run_log import open_run_log
from luss.errors import LussError
from luss.files import output_folder, read_arrays, read_json, write_json
from luss.pipeline import Pipeline
from luss.pipeline.work_dir import WorkDir
from luss.planning.next_steps import next_steps
from luss.planning.plan_file import PLAN, check_times, read_plan
from luss.planning.rehearsed_run import rehearse_run, sample_for
from luss.planning.schedule import TRAINED, fitting_batch, full_schedule, plan_schedule, too_short
from luss.planning.settings import (
    choose_foreground,
    earlier_options,
    reject_arguments,
    settings_for,
    start_from,
)
from luss.planning.survey import Survey, data_settings, split_of_data, survey
from luss.training_switches import scale_learning_rates

__all__ = ["PhotoRun", "outcome"]

_SAFETY = 0.95
_DRY_RUN_SHARE = 0.1
"""Of the minutes, for what large photos add to the dry run."""

_SECONDS_BETWEEN_CHECKPOINTS = 30.0
_WARNING = 30
_SMALLEST_BATCH = 8
_UPDATES_AN_EPOCH = 10


@dataclass
class PhotoRun:
    """What was asked for.

    Attributes:
        photos: the folder.
        work_dir: by default ``work_dirs/<name of the folder>``.
        categories: to find; None reads the number off class folders.
        minutes: for the whole run.
        seed: of everything random.
        foreground: one of :data:`luss.planning.foregrounds.FOREGROUNDS`; None for the best that
            works here.
        start: work dir of a run whose pretraining is taken.
        options: as ``--cfg-options`` gives them.
    """

    photos: str
    work_dir: str | None = None
    categories: int | None = None
    minutes: float = 60.0
    seed: int = 0
    foreground: str | None = None
    start: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The work dir."""
        given = self.work_dir or f"work_dirs/{Path(self.photos).expanduser().resolve().name}"
        return Path(given).expanduser()

    def run(self, resume: bool = False) -> str:
        """Run all of it.

        Args:
            resume: go on where this run was killed or stopped.

        Returns:
            Lines on what came of it, and what to do next.

        Raises:
            LussError: before anything is trained, if the time does not suffice, or something is
                wrong with the photos or the settings.
        """
        self._begun = time.monotonic()
        output_folder(self.folder, "--work-dir")
        if not self.minutes > 0:
            raise LussError(f"--minutes is {self.minutes}, expected a number above 0")
        found = survey(self.photos, data_settings(self.options))
        # Batch sizes, and whether categories are too many, follow from the photos.
        self._reject_other_photos(found)
        categories = found.num_categories(self.categories)
        config = self.settings(found, categories)
        before = self._fitted_settings(config)
        self._fit(config, found)
        check_settings(config)
        WorkDir(self.folder).refuse_photos(found.root)
        # Another process that rehearses, too, would leave its plan behind this one's run.
        with WorkDir(self.folder).locked():
            open_run_log(self.folder / "run.log")
            print_log(f"{found.root} is read as {found.kind}; {found.said()}", "current")
            plan = self._plan(config, found, before)
        for name, epochs in plan["epochs"].items():
            stage = config.stages[name]
            stage.train_cfg["max_epochs"] = epochs
            each = max(1, round(_SECONDS_BETWEEN_CHECKPOINTS / plan["epoch_seconds"][name]))
            interval = "default_hooks.checkpoint.interval"
            if not self.given.keys() & {interval, f"stages.{name}.{interval}"}:
                hooks = stage.setdefault("default_hooks", {})
                hooks.setdefault("checkpoint", {})["interval"] = min(each, epochs)
        Pipeline(config, str(self.folder), expected=plan["seconds"]).run(resume=resume)
        took = time.monotonic() - self._begun
        return outcome(self.folder, found, categories) + f"\nIt took {clock(took)}."

    @property
    def given(self) -> dict[str, Any]:
        """The options of this command and those of the runs that it starts from."""
        earlier = {} if self.start is None else earlier_options(self.start)
        return {**earlier, **self.options}

    @property
    def trained(self) -> tuple[str, ...]:
        """The stages that this run trains."""
        return TRAINED if self.start is None else TRAINED[1:]

    def config(self, found: Survey, categories: int) -> Config:
        """All settings but the epochs.

        Raises:
            LussError: if an option has no effect, or a setting's type is wrong.
        """
        config = self.settings(found, categories)
        self._fit(config, found)
        check_settings(config)
        return config

    def settings(self, found: Survey, categories: int) -> Config:
        """All settings, before batch sizes and epochs are fitted to the photos and the time.

        Raises:
            LussError: if an option has no effect.
        """
        reject_arguments(self.options)
        if self.start is None:
            config = settings_for(choose_foreground(self.foreground), self.options)
        else:
            chosen = choose_foreground(self.foreground) if self.foreground else None
            config = start_from(self.start, chosen, self.options)
        config.data_root = str(found.root)
        config.data = {**config.get("data", {}), "type": found.kind}
        config.num_categories = categories
        config.seed = self.seed
        return config

    def _fit(self, config: Config, found: Survey) -> None:
        """Fit batch sizes to the photos, but for those that options set."""
        for name in self.trained:
            loader = config.stages[name].train_dataloader
            if _batch_size_of(name) in self.given:
                self._require_photos(loader.batch_size, name, found)
                continue
            wanted = loader.batch_size
            if name == "finetune":
                # Of few photos, small batches: what it lacks are updates. Clustering needs large
                # ones, which it spreads over its prototypes.
                wanted = min(wanted, max(_SMALLEST_BATCH, found.photos // _UPDATES_AN_EPOCH))
            loader["batch_size"] = fitting_batch(found.photos, wanted)
        if config.get("auto_scale_lr"):
            scale_learning_rates(config)

    def _fitted_settings(self, config: Config) -> dict[str, int]:
        """Settings that are about to be fitted, for runs that start from this one.

        Raises:
            LussError: if the run that this one starts from has no such settings.
        """
        found = {}
        for name in self.trained:
            stage = config.stages.get(name, {})
            epochs = stage.get("train_cfg", {}).get("max_epochs")
            batch_size = stage.get("train_dataloader", {}).get("batch_size")
            if epochs is None or batch_size is None:
                raise LussError(
                    f"--from {self.start}: luss train plans train_cfg.max_epochs and "
                    f"train_dataloader.batch_size of {', '.join(self.trained)}, and that run has "
                    f"no such settings in stages.{name}; go on from it by a config and luss run"
                )
            found |= {_epochs_of(name): epochs, _batch_size_of(name): batch_size}
        return found

    def _require_photos(self, batch_size: int, stage: str, found: Survey) -> None:
        if batch_size > found.photos:
            raise LussError(
                f"the option stages.{stage}.train_dataloader.batch_size={batch_size} is more than "
                f"the {found.photos} photos of {found.root}; lower it, or leave it out"
            )

    def _asked(self) -> dict[str, Any]:
        """What the plan depends on, as plain values."""
        asked = {
            **vars(self),
            "photos": str(Path(self.photos).expanduser().resolve()),
            "work_dir": None,
        }
        return json.loads(
            json.dumps({k: v for k, v in asked.items() if not k.startswith("_")}, default=str)
        )

    def _plan(self, config: Config, found: Survey, before: dict[str, int]) -> dict[str, Any]:
        """The plan of this work dir, made now or when the run was begun.

        Raises:
            LussError: if the run was begun with something else.
        """
        path, asked = self.folder / PLAN, self._asked()
        if path.exists() and self._trained():
            plan = read_plan(path)
            before = plan["asked"]
            other = [key for key in asked if before.get(key) != asked[key]]
            if other:
                said = "; ".join(f"{key} was {before.get(key)}, now {asked[key]}" for key in other)
                done = WorkDir(self.folder).is_done("pretrain")
                again = f"; add --from {self.folder} to reuse its pretraining" if done else ""
                raise LussError(
                    f"{self.folder} belongs to another run: {said}. Choose another "
                    f"--work-dir{again}"
                )
            check_times(plan, path)
            return plan
        plan = {
            "asked": asked,
            "options": json.loads(json.dumps(self.given, default=str)),
            "before_fitting": before,
            **self._new_plan(config, found),
        }
        listed = {split: list_files(split_of_data(found.settings, split)) for split in found.counts}
        folder = WorkDir(self.folder).photos
        plan["photos"] = {split: write_photo_list(folder, files) for split, files in listed.items()}
        write_json(path, plan)
        return plan

    def _reject_other_photos(self, found: Survey) -> None:
        """Compare the photos with those that the run was begun with.

        Raises:
            LussError: if photos are missing, new or changed.
        """
        path = self.folder / PLAN
        if not (path.is_file() and self._trained()):
            return
        plan = read_plan(path)
        if plan["asked"].get("photos") != self._asked()["photos"]:
            # Another folder is rejected as such.
            return
        for split, digest in plan.get("photos", {}).items():
            files = []
            if split in found.counts:
                files = list_files(split_of_data(found.settings, split))
            difference = describe_difference(WorkDir(self.folder).photos, digest, files)
            if difference:
                raise LussError(
                    f"the photos of {split!r} in {found.root} are not those that {self.folder} was "
                    f"begun with: {difference}. Restore them, or choose another --work-dir"
                )

    def _trained(self) -> bool:
        """Return whether a stage was begun; until then, a plan may be replaced."""
        return any((self.folder / name).is_dir() for name in TRAINED)

    def _new_plan(self, config: Config, found: Survey) -> dict[str, Any]:
        print_log(
            "rehearsing all stages on a few of the photos, to see how long they take", "current"
        )
        trained = self.trained
        largest = max(config.stages[name].train_dataloader.batch_size for name in trained)
        allowed = 60 * self.minutes * _DRY_RUN_SHARE
        sample = sample_for(largest, found.photo_seconds, allowed)
        rehearsal = rehearse_run(config, found.counts, self.folder, sample)
        open_run_log(self.folder / "run.log")
        batches = {name: config.stages[name].train_dataloader.batch_size for name in trained}
        epoch_seconds = {
            name: rehearsal.epoch_seconds(name, found.photos, batches[name]) for name in trained
        }
        others = rehearsal.other_seconds(found.counts)
        elapsed = time.monotonic() - self._begun + rehearsal.checks
        available = _SAFETY * (60 * self.minutes - elapsed - sum(others.values()))
        full = full_schedule(
            {name: config.stages[name].train_cfg.max_epochs for name in trained}, found.photos
        )
        for name in trained:
            if (given := _epochs_of(name)) in self.given:
                full[name] = self.given[given]
        try:
            epochs = plan_schedule(full, epoch_seconds, available)
        except LussError as error:
            least = elapsed + sum(others.values()) + sum(epoch_seconds.values()) / _SAFETY
            raise LussError(
                f"{self.minutes:g} minutes do not suffice for {found.photos} photos: what does not "
                f"train, such as maps and masks of all photos, takes about "
                f"{clock(elapsed + sum(others.values()))}, and an epoch of each stage "
                f"{clock(sum(epoch_seconds.values()))}. Give --minutes {-(-least // 60):.0f} at "
                "least (the more, the better it learns), or fewer or smaller photos; --foreground "
                "boundary-centre takes less time than others"
            ) from error
        seconds = {
            name: taken + epochs.get(name, 0) * epoch_seconds.get(name, 0.0)
            for name, taken in others.items()
        }
        said = ", ".join(f"{name} {count} of {full[name]}" for name, count in epochs.items())
        print_log(
            f"epochs: {said}, in batches of {', '.join(map(str, dict.fromkeys(batches.values())))}"
            f"; the whole run takes about {clock(elapsed + sum(seconds.values()))}",
            "current",
        )
        if short := too_short(epochs, full):
            wanted = elapsed + sum(others.values())
            wanted += sum(full[name] * epoch_seconds[name] for name in epochs) / _SAFETY
            print_log(
                f"TOO SHORT: {short}; such a training tells categories hardly apart. The complete "
                f"one takes --minutes {-(-wanted // 60):.0f}; give more minutes, fewer or smaller "
                "photos, or a faster machine",
                "current",
                level=_WARNING,
            )
        return {"epochs": epochs, "epoch_seconds": epoch_seconds, "seconds": seconds}


def _epochs_of(stage: str) -> str:
    return f"stages.{stage}.train_cfg.max_epochs"


def _batch_size_of(stage: str) -> str:
    return f"stages.{stage}.train_dataloader.batch_size"


def outcome(folder: Path, found: Survey, categories: int) -> str:
    """What a finished run found, where its report lies, and what comes next."""
    results = read_json(folder / "results.json") if (folder / "results.json").exists() else {}
    measured = results.get("fully_unsupervised", {})
    metrics = {split: values["mIoU"] for split, values in measured.items() if "mIoU" in values}
    result = f"Found {categories} categories in {found.photos} photos"
    # The user may have deleted it.
    if clustering := WorkDir(folder).outputs().get("clustering"):
        (assignments,) = read_arrays(clustering, "assignments")
        sizes = np.bincount(assignments, minlength=categories)
        result += f", of {sizes.min()} to {sizes.max()} photos each"
    if metrics:
        result += "; mIoU " + ", ".join(f"{value:.1f} % on {s}" for s, value in metrics.items())
    return f"{result}.\n{next_steps(folder)}"
