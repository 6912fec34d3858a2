"""``luss train``: plan and run training on a folder of photos."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import Config
from mmengine.logging import print_log

from luss.config_checks import check_settings
from luss.datasets.photo_lists import describe_difference, items_with_sizes, write_photo_list
from luss.engine.progress import clock
from luss.engine.run_log import open_run_log
from luss.errors import LussError
from luss.files import output_folder, read_arrays, read_json, write_json
from luss.pipeline import Pipeline
from luss.pipeline.work_dir import WorkDir
from luss.planning.dry_run import dry_run, sample_for
from luss.planning.next_steps import next_steps
from luss.planning.plan_file import PLAN, check_times, read_plan
from luss.planning.schedule import (
    fitting_batch,
    full_schedule,
    plan_schedule,
    too_short,
    trained_stages,
)
from luss.planning.settings import (
    Backbone,
    choose_backbone,
    earlier_backbone,
    earlier_options,
    reject_arguments,
    settings_for,
    start_from,
)
from luss.planning.survey import Survey, data_settings, survey
from luss.training_switches import scale_learning_rates

__all__ = ["PhotoRun", "outcome"]

_SAFETY = 0.95
_DRY_RUN_SHARE = 0.1
"""Share of the minutes that the dry run may take longer because of large photos."""

_SECONDS_BETWEEN_CHECKPOINTS = 30.0
_WARNING = 30


@dataclass
class PhotoRun:
    """Arguments of ``luss train``.

    Attributes:
        photos: the folder.
        work_dir: by default ``work_dirs/<name of the folder>``.
        categories: number to find; None counts the class folders.
        minutes: time limit of the complete run.
        seed: random seed.
        foreground: one of :data:`luss.planning.foregrounds.FOREGROUNDS`; None for the best
            available one.
        start: work dir of a run whose pretraining is reused.
        backbone: name of a pretrained backbone; None trains a small ResNet.
        weights: file of the pretrained backbone.
        finetune: whether to train a segmentor; False segments by the nearest centroid.
        tune: whether to train the pretrained backbone in fine-tuning.
        options: parsed ``--cfg-options``.
    """

    photos: str
    work_dir: str | None = None
    categories: int | None = None
    minutes: float = 60.0
    seed: int = 0
    foreground: str | None = None
    start: str | None = None
    backbone: str | None = None
    weights: str | None = None
    finetune: bool = True
    tune: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Path of the work dir."""
        given = self.work_dir or f"work_dirs/{Path(self.photos).expanduser().resolve().name}"
        return Path(given).expanduser()

    def run(self, resume: bool = False) -> str:
        """Check the photos, plan the run, and run it.

        Args:
            resume: resume a run that was stopped.

        Returns:
            Lines with the result and the next commands.

        Raises:
            LussError: before training, if the time is too short, or photos or settings are wrong.
        """
        self._begun = time.monotonic()
        output_folder(self.folder, "--work-dir")
        if not self.minutes > 0:
            raise LussError(f"--minutes is {self.minutes}, expected a number greater than 0")
        found = survey(self.photos, data_settings(self.options))
        # First: changed photos would also change batch sizes and the largest number of categories.
        self._require_same_photos(found)
        categories = found.num_categories(self.categories)
        config = self.settings(found, categories)
        before = self._fitted_settings(config)
        self._fit(config, found)
        check_settings(config)
        WorkDir(self.folder).require_no_photos(found.root)
        # A second process could otherwise overwrite this run's plan.
        with WorkDir(self.folder).locked():
            open_run_log(self.folder / "run.log")
            print_log(f"{found.root} is read as {found.kind}; {found.summary()}", "current")
            plan = self._plan(config, found, before)
        for name, epochs in plan["epochs"].items():
            stage = config.stages[name]
            stage.train_cfg["max_epochs"] = epochs
            each = max(1, round(_SECONDS_BETWEEN_CHECKPOINTS / plan["epoch_seconds"][name]))
            interval = "default_hooks.checkpoint.interval"
            if not self.given.keys() & {interval, f"stages.{name}.{interval}"}:
                hooks = stage.setdefault("default_hooks", {})
                hooks.setdefault("checkpoint", {})["interval"] = min(each, epochs)
        pipeline = Pipeline(config, str(self.folder), expected=plan["seconds"], listed=found.listed)
        pipeline.run(resume=resume)
        took = time.monotonic() - self._begun
        return outcome(self.folder, found, categories) + f"\nIt took {clock(took)}."

    @property
    def given(self) -> dict[str, Any]:
        """Options of this command and of the runs that it starts from."""
        earlier = {} if self.start is None else earlier_options(self.start)
        return {**earlier, **self.options}

    @property
    def pretrained(self) -> Backbone | None:
        """The pretrained backbone of this command, or of the run that it starts from.

        Raises:
            LussError: if ``weights`` or ``tune`` lack a backbone, or ``start`` has one already.
        """
        if self.start is not None and (self.backbone or self.weights or self.tune):
            raise LussError(
                f"--backbone, --weights and --tune have no effect with --from {self.start}, which "
                "reuses the backbone of that run; remove them, or remove --from"
            )
        if self.start is not None:
            return earlier_backbone(self.start)
        return choose_backbone(self.backbone, self.weights, self.tune)

    def config(self, found: Survey, categories: int) -> Config:
        """Return all settings but the epochs.

        Raises:
            LussError: if an option has no effect, or a setting has a wrong type.
        """
        config = self.settings(found, categories)
        self._fit(config, found)
        check_settings(config)
        return config

    def settings(self, found: Survey, categories: int) -> Config:
        """Return all settings, before batch sizes and epochs are fitted to photos and time.

        Raises:
            LussError: if an option has no effect.
        """
        reject_arguments(self.options)
        pretrained = self.pretrained
        if self.start is None:
            config = settings_for(self.foreground, self.options, pretrained, self.finetune)
        else:
            config = start_from(self.start, self.foreground, self.options, self.finetune)
        config.data_root = str(found.root)
        config.data = {**config.get("data", {}), "type": found.kind}
        config.num_categories = categories
        config.seed = self.seed
        return config

    def _fit(self, config: Config, found: Survey) -> None:
        """Fit batch sizes to the number of photos, unless an option sets them."""
        for name in trained_stages(config):
            loader = config.stages[name].train_dataloader
            if _batch_size_of(name) in self.given:
                self._require_photos(loader.batch_size, name, found)
                continue
            loader["batch_size"] = fitting_batch(found.photos, loader.batch_size, name)
        if config.get("auto_scale_lr"):
            scale_learning_rates(config)

    def _fitted_settings(self, config: Config) -> dict[str, int]:
        """Return the settings that `_fit` and the plan change, for runs that start from this one.

        Raises:
            LussError: if the run that this one starts from lacks such a setting.
        """
        found: dict[str, int] = {}
        for name in trained_stages(config):
            stage = config.stages.get(name, {})
            epochs = stage.get("train_cfg", {}).get("max_epochs")
            batch_size = stage.get("train_dataloader", {}).get("batch_size")
            if epochs is None or batch_size is None:
                raise LussError(
                    f"--from {self.start}: stages.{name} of that run has no train_cfg.max_epochs "
                    "or no train_dataloader.batch_size, which luss train sets; reuse its "
                    "checkpoints with a config and luss run"
                )
            found |= {_epochs_of(name): epochs, _batch_size_of(name): batch_size}
        return found

    def _require_photos(self, batch_size: int, stage: str, found: Survey) -> None:
        if batch_size > found.photos:
            raise LussError(
                f"the option stages.{stage}.train_dataloader.batch_size={batch_size} is more than "
                f"the {found.photos} photos of {found.root}; lower it, or remove it"
            )

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments that the plan depends on, as plain values."""
        arguments = {
            **vars(self),
            "photos": str(Path(self.photos).expanduser().resolve()),
            "work_dir": None,
        }
        return json.loads(
            json.dumps({k: v for k, v in arguments.items() if not k.startswith("_")}, default=str)
        )

    def _plan(self, config: Config, found: Survey, before: dict[str, int]) -> dict[str, Any]:
        """Return the plan of this work dir; write it if no stage has been trained yet.

        Raises:
            LussError: if the run was started with other arguments.
        """
        path, arguments = self.folder / PLAN, self._arguments()
        if path.exists() and self._has_trained():
            plan = read_plan(path)
            before = plan["asked"]
            changes = [
                f"{key} was {before.get(key)}, now {value}"
                for key, value in arguments.items()
                if before.get(key) != value
            ]
            if changes:
                done = WorkDir(self.folder).is_done("pretrain")
                reuse = f"; add --from {self.folder} to reuse its pretraining" if done else ""
                raise LussError(
                    f"{self.folder} was started with other arguments: {'; '.join(changes)}. Choose "
                    f"another --work-dir{reuse}"
                )
            check_times(plan, path, trained_stages(config))
            return plan
        plan = {
            "asked": arguments,
            "options": json.loads(json.dumps(self.given, default=str)),
            "before_fitting": before,
            "backbone": None if self.pretrained is None else self.pretrained._asdict(),
            **self._new_plan(config, found),
        }
        lists = self._write_lists(found)
        plan["photos"] = {split: path.name for split, path in lists.items()}
        write_json(path, plan)
        return plan

    def _require_same_photos(self, found: Survey) -> None:
        """Check that the photos have not changed since the run was started.

        Raises:
            LussError: if photos are missing, new or changed.
        """
        path = self.folder / PLAN
        if not (path.is_file() and self._has_trained()):
            return
        plan = read_plan(path)
        if plan["asked"].get("photos") != self._arguments()["photos"]:
            # `_plan` reports that the folder is another one.
            return
        folder, lists = WorkDir(self.folder).photos, self._write_lists(found)
        for split, name in plan.get("photos", {}).items():
            now = lists[split] if split in lists else write_photo_list(folder, [])
            if difference := describe_difference(folder / name, now):
                raise LussError(
                    f"the photos of {split!r} in {found.root} have changed since {self.folder} was "
                    f"started: {difference}. Restore them, or choose another --work-dir"
                )

    def _write_lists(self, found: Survey) -> dict[str, Path]:
        """Write the ids and file sizes of the photos; split -> path of the list."""
        folder = WorkDir(self.folder).photos
        return {
            split: write_photo_list(folder, items_with_sizes(dataset))
            for split, dataset in found.datasets.items()
        }

    def _has_trained(self) -> bool:
        """Return whether the first stage was started; until then, the plan may be replaced."""
        return (self.folder / "pretrain").is_dir()

    def _new_plan(self, config: Config, found: Survey) -> dict[str, Any]:
        trained = trained_stages(config)
        if not trained:
            # There are no epochs to fit to the minutes.
            return {"epochs": {}, "epoch_seconds": {}, "seconds": {}}
        print_log("dry run: all stages run on a few photos, to measure the time", "current")
        largest = max(config.stages[name].train_dataloader.batch_size for name in trained)
        allowed = 60 * self.minutes * _DRY_RUN_SHARE
        sample = sample_for(largest, found.photo_seconds, allowed, len(trained))
        timed = dry_run(config, found, self.folder, sample)
        open_run_log(self.folder / "run.log")
        batches = {name: config.stages[name].train_dataloader.batch_size for name in trained}
        epoch_seconds = {
            name: timed.epoch_seconds(name, found.photos, batches[name]) for name in trained
        }
        others = timed.other_seconds(found.counts)
        elapsed = time.monotonic() - self._begun + timed.checks
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
                f"--minutes {self.minutes:g} is too short for {found.photos} photos: one epoch of "
                f"each stage takes about {clock(sum(epoch_seconds.values()))}; the dry run, "
                "foreground maps, labels and predictions take "
                f"{clock(elapsed + sum(others.values()))}. Give at least --minutes "
                f"{-(-least // 60):.0f} (more time gives better results), use fewer or smaller "
                "photos, or the fastest foreground (--foreground boundary-centre)"
            ) from error
        seconds = {
            name: taken + epochs.get(name, 0) * epoch_seconds.get(name, 0.0)
            for name, taken in others.items()
        }
        listed = ", ".join(
            f"{name} {count} of {full[name]} (batches of {batches[name]})"
            for name, count in epochs.items()
        )
        print_log(
            f"epochs: {listed}; the complete run takes about "
            f"{clock(elapsed + sum(seconds.values()))}",
            "current",
        )
        if short := too_short(epochs, full):
            wanted = elapsed + sum(others.values())
            wanted += sum(full[name] * epoch_seconds[name] for name in epochs) / _SAFETY
            print_log(
                f"TOO SHORT: {short}, so the categories will be poor. The full schedule takes "
                f"--minutes {-(-wanted // 60):.0f}; give more time, or use fewer or smaller photos "
                "or a faster machine",
                "current",
                level=_WARNING,
            )
        return {"epochs": epochs, "epoch_seconds": epoch_seconds, "seconds": seconds}


def _epochs_of(stage: str) -> str:
    return f"stages.{stage}.train_cfg.max_epochs"


def _batch_size_of(stage: str) -> str:
    return f"stages.{stage}.train_dataloader.batch_size"


def outcome(folder: Path, found: Survey, categories: int) -> str:
    """Return a summary of a finished run, with the path of its report and the next commands."""
    results = read_json(folder / "results.json") if (folder / "results.json").exists() else {}
    measured = results.get("fully_unsupervised", {})
    metrics = {split: values["mIoU"] for split, values in measured.items() if "mIoU" in values}
    result = f"Found {categories} categories in {found.photos} photos"
    # The user may have deleted the clustering.
    if clustering := WorkDir(folder).outputs().get("clustering"):
        (assignments,) = read_arrays(clustering, "assignments")
        sizes = np.bincount(assignments, minlength=categories)
        result += f", of {sizes.min()} to {sizes.max()} photos each"
    if metrics:
        result += "; mIoU " + ", ".join(f"{value:.1f} % on {s}" for s, value in metrics.items())
    return f"{result}.\n{next_steps(folder)}"
