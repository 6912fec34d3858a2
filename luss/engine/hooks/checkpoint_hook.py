"""Atomic checkpoints that contain only tensors and plain values."""

import inspect
from collections.abc import Mapping
from pathlib import Path

import mmengine
import torch
from mmengine.dist import barrier, get_world_size, is_main_process, master_only
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from torch import Tensor

from luss.engine.accumulation import gradients_wait
from luss.engine.bare_model import bare_model
from luss.engine.checkpoint import (
    checkpoint_step,
    checkpoints_by_step,
    latest_checkpoint,
    load,
    publish,
    save,
)
from luss.engine.run_log import FILE_ONLY
from luss.errors import LussError, nearest
from luss.files import atomic_write
from luss.registry import HOOKS
from luss.version import __version__

__all__ = ["CheckpointHook", "training_state"]

_PLAIN = (str, int, float, bool, type(None))
_NAME = "iter_{}.pth"


def training_state(runner, epoch: int, iteration: int) -> dict:
    """Return the state to resume training from, as tensors and plain values.

    Args:
        runner: a training runner.
        epoch: number of finished epochs.
        iteration: number of finished iterations.

    Returns:
        A checkpoint for MMEngine's ``Runner.resume``, without configuration.
    """
    runtime_info = {
        key: value
        for key, value in runner.message_hub.runtime_info.items()
        # Exact types: NumPy's scalars would be pickled as objects.
        if key != "cfg" and type(value) in _PLAIN
    }
    return {
        "meta": {
            "epoch": epoch,
            "iter": iteration,
            "seed": runner.seed,
            "processes": get_world_size(),
            "iterations_per_epoch": len(runner.train_dataloader),
            "luss_version": __version__,
            "mmengine_version": mmengine.__version__,
            "torch_version": str(torch.__version__),
        },
        "state_dict": dict(bare_model(runner.model).state_dict()),
        # Smoothed values of the log are not resumed; the scalars are on disk.
        "message_hub": {"log_scalars": {}, "runtime_info": runtime_info, "resumed_keys": {}},
        "optimizer": runner.optim_wrapper.state_dict(),
        "param_schedulers": _scheduler_states(runner.param_schedulers),
    }


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """MMEngine's hook with checkpoints that a killed run can always resume from.

    Checkpoints are ``iter_<N>.pth``, N the number of iterations, in the runner's work dir.
    Differences to MMEngine: files are written atomically, and older ones are removed afterwards;
    they contain only tensors and plain values, no configuration text, which MMEngine evaluates on
    resuming; weights that are not finite are not saved. With accumulated gradients, a checkpoint
    is saved after the next update of the weights.

    The best checkpoints of ``save_best`` are ``best_<metric>_iter_<N>.pth`` and contain weights.
    Stages do not start or resume from them unless a config names them.

    Args:
        interval: iterations, or epochs if ``by_epoch``, between checkpoints; -1 for none. The end
            of training is always saved.
        max_keep_ckpts: number of newest checkpoints to keep; -1 for all.
        save_best: one or several metrics of validation whose best model is kept; ``auto`` for the
            first metric.
        rule: ``greater`` or ``less``, one for each metric or one for all; by default derived from
            ``greater_keys`` and ``less_keys``.
        **kwargs: see MMEngine's hook. ``save_last`` must be True, and ``out_dir``,
            ``filename_tmpl``, ``backend_args`` and ``file_client_args`` are not supported, since
            later stages read checkpoints from the work dir.

    Raises:
        LussError: if an argument is invalid; later, if weights are not finite, or validation lacks
            the metric of ``save_best``.
        OSError: if the disk fails; older checkpoints stay.
    """

    def __init__(
        self,
        interval: int = 1,
        max_keep_ckpts: int = 2,
        save_best: str | list[str] | None = None,
        rule: str | list[str] | None = None,
        **kwargs,
    ) -> None:
        # MMEngine's hook accepts any name.
        known = inspect.signature(MMEngineCheckpointHook).parameters
        for key in kwargs:
            if key not in known:
                raise LussError(f"CheckpointHook has no setting {key!r}{nearest(key, known)}")
        if interval < 1 and interval != -1:
            raise LussError(
                f"CheckpointHook: interval is {interval}, expected 1 or more, or -1 to save only "
                "the end of training"
            )
        if not kwargs.get("save_last", True):
            raise LussError(
                "CheckpointHook: save_last is False, but later stages read the model at the end of "
                "training; remove it"
            )
        for key in ("out_dir", "filename_tmpl", "file_client_args", "backend_args"):
            if (value := kwargs.pop(key, None)) not in (None, _NAME):
                raise LussError(
                    f"CheckpointHook: {key} is {value!r}, but later stages and --resume read "
                    "iter_<N>.pth from the stage's folder; remove it"
                )
        super().__init__(
            interval=interval,
            max_keep_ckpts=max_keep_ckpts,
            save_best=list(save_best) if isinstance(save_best, tuple) else save_best,
            rule=list(rule) if isinstance(rule, tuple) else rule,
            filename_tmpl=_NAME,
            **kwargs,
        )
        self._waits = False
        self._saved: int | None = None

    def check_fit(self, runner) -> None:
        """Check that there is validation if ``save_best`` is set.

        Raises:
            LussError: if there is none.
        """
        if self.save_best and runner.val_loop is None:
            raise LussError(
                f"CheckpointHook: save_best is {self.save_best}, but this stage has no validation; "
                "add val_dataloader, val_cfg and val_evaluator to it, or remove save_best"
            )

    def before_train(self, runner) -> None:
        """Find the checkpoints of a resumed run; see :meth:`check_fit`."""
        self.check_fit(runner)
        self.out_dir = runner.work_dir
        self._waits = False
        newest = latest_checkpoint(runner.work_dir) if runner.iter else None
        self.last_ckpt = str(newest) if newest else None
        self._saved = checkpoint_step(newest) if newest else None
        for key in self.key_indicators if self.save_best else ():
            found = runner.message_hub.runtime_info.get(self._info("ckpt", key))
            # The work dir may have been moved.
            self._note_best(key, str(Path(self.out_dir, Path(found).name)) if found else None)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Save if the interval counts iterations, or a checkpoint was delayed to an update."""
        due = not self.by_epoch and self.every_n_train_iters(runner, self.interval, self.save_begin)
        if due or self._waits:
            self._save_or_wait(runner, runner.epoch, runner.iter + 1)

    def after_train_epoch(self, runner) -> None:
        """Save if the interval counts epochs, and at the end of training."""
        # The iteration counter is already that of the next epoch.
        due = self.by_epoch and self.every_n_epochs(runner, self.interval, self.save_begin)
        if self.is_last_train_epoch(runner):
            self._save(runner, runner.epoch + 1, runner.iter)
        elif due:
            self._save_or_wait(runner, runner.epoch + 1, runner.iter)

    def after_train(self, runner) -> None:
        """Save the end if training was stopped early, and publish."""
        if self._saved != runner.iter:
            self._save(runner, runner.epoch, runner.iter)
        super().after_train(runner)

    def save_now(self, runner) -> None:
        """Save after the current iteration, outside the interval."""
        self._save(runner, runner.epoch, runner.iter + 1)

    def _save_or_wait(self, runner, epoch: int, iteration: int) -> None:
        self._waits = gradients_wait(runner.optim_wrapper)
        if not self._waits:
            self._save(runner, epoch, iteration)

    def _save(self, runner, epoch: int, iteration: int) -> None:
        folder = Path(runner.work_dir)
        path = folder / _NAME.format(iteration)
        without = [] if self.save_optimizer else ["optimizer"]
        without += [] if self.save_param_scheduler else ["param_schedulers"]
        self._write(runner, path, epoch, iteration, without)
        self.last_ckpt, self._saved = str(path), iteration
        if is_main_process():
            # For users and MMEngine's tools; luss scans the folder.
            with atomic_write(folder / "last_checkpoint") as file:
                file.write(str(path).encode())
            self._remove_outdated(folder)
        # Another rank could otherwise end the run before the file exists.
        barrier()

    @staticmethod
    @master_only
    def _write(runner, path: Path, epoch: int, iteration: int, without: list[str]) -> None:
        checkpoint = training_state(runner, epoch, iteration)
        runner.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        for key in without:
            checkpoint.pop(key)
        checkpoint = _plain(checkpoint)
        _require_finite(checkpoint["state_dict"], iteration)
        # EMAHook swaps the trained weights to this key.
        _require_finite(checkpoint.get("ema_state_dict", {}), iteration)
        save(path, checkpoint)
        runner.logger.info(f"saved {path}", extra=FILE_ONLY)

    def _remove_outdated(self, folder: Path) -> None:
        if self.max_keep_ckpts <= 0:
            return
        for path in list(checkpoints_by_step(folder).values())[: -self.max_keep_ckpts]:
            path.unlink()

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        """Save the model if a metric is the best so far; then remove the previous best one."""
        if not self.save_best:
            return
        if "auto" in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        for key, rule in zip(self.key_indicators, self.rules, strict=True):
            if key not in metrics:
                raise LussError(
                    f"CheckpointHook: save_best is {key!r}, but validation gives "
                    f"{', '.join(map(repr, metrics))}; use one of these"
                )
            info, score = runner.message_hub.runtime_info, metrics[key]
            better = score is not None and self.is_better_than[key](
                float(score), info.get(self._info("score", key), self.init_value_map[rule])
            )
            if better:
                self._save_best(runner, key, float(score))

    def _save_best(self, runner, key: str, score: float) -> None:
        name = f"best_{key}_{_NAME.format(runner.iter)}".replace("/", "_")
        path, former = Path(runner.work_dir, name), self._best(key)
        runner.message_hub.update_info(self._info("score", key), score)
        runner.message_hub.update_info(self._info("ckpt", key), str(path))
        self._write(runner, path, runner.epoch, runner.iter, ["optimizer", "param_schedulers"])
        self._note_best(key, str(path))
        runner.logger.info(f"{name} is the best so far, {key} = {score:.4f}")
        if former not in (None, str(path)) and is_main_process():
            Path(former).unlink(missing_ok=True)
        barrier()

    def _info(self, what: str, key: str) -> str:
        """Return MMEngine's key of the best score or checkpoint in the message hub."""
        return f"best_{what}" if len(self.key_indicators) == 1 else f"best_{what}_{key}"

    def _best(self, key: str) -> str | None:
        if len(self.key_indicators) == 1:
            return self.best_ckpt_path
        return self.best_ckpt_path_dict.get(key)

    def _note_best(self, key: str, path: str | None) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = path
        else:
            self.best_ckpt_path_dict[key] = path

    @master_only
    def _publish_model(self, runner, ckpt_path: str | None) -> None:
        if ckpt_path is None:
            return
        checkpoint = load(ckpt_path)
        kept = {key: value for key, value in checkpoint.items() if key in self.published_keys}
        runner.logger.info(f"published {publish(ckpt_path, kept)}")


def _scheduler_states(schedulers: list | dict | None) -> list | dict:
    if isinstance(schedulers, dict):
        return {name: _scheduler_states(own) for name, own in schedulers.items()}
    return [schedule.state_dict() for schedule in schedulers or ()]


def _require_finite(state: dict[str, Tensor], iteration: int) -> None:
    bad = [
        name
        for name, value in state.items()
        if value.is_floating_point() and not bool(value.isfinite().all())
    ]
    if bad:
        raise LussError(
            f"after iteration {iteration} {len(bad)} tensors of the model contain NaN or infinity, "
            f"such as {', '.join(bad[:3])}; they were not saved, and the last checkpoint was kept. "
            "Lower the learning rate or disable mixed precision, and start from that checkpoint"
        )


def _plain(value, place: str = "checkpoint"):
    """Copy tensors to the CPU in nested dicts and lists of tensors and plain values.

    Raises:
        LussError: if there is anything else, which could not be loaded, with its place.
    """
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, Mapping):
        return {key: _plain(entry, f"{place}.{key}") for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(entry, f"{place}.{i}") for i, entry in enumerate(value))
    if type(value) not in _PLAIN:
        raise LussError(
            f"{place} is a {type(value).__name__}, but checkpoints contain only tensors and plain "
            "values, so that loading executes no code; change the hook, optimizer or scheduler "
            "that it belongs to"
        )
    return value
