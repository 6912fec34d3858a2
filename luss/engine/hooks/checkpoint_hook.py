"""Checkpoints written whole before older ones go, holding data alone."""

from collections.abc import Mapping
from pathlib import Path

import mmengine
import torch
from mmengine.dist import barrier, get_world_size, is_main_process, master_only
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.model import is_model_wrapper
from torch import Tensor

from luss.engine.accumulation import gradients_wait
from luss.engine.checkpoint import checkpoint_step, latest_checkpoint, load, publish, save
from luss.errors import LussError
from luss.files import atomic_write
from luss.registry import HOOKS
from luss.version import __version__

__all__ = ["CheckpointHook", "training_state"]

_PLAIN = (str, int, float, bool, type(None))
_NAME = "iter_{}.pth"


def training_state(runner, epoch: int, iteration: int) -> dict:
    """All that training goes on from, as tensors and plain values; no code, no configuration.

    Args:
        runner: a training runner.
        epoch: epochs that are whole.
        iteration: iterations that are done.

    Returns:
        What MMEngine's ``Runner.resume`` reads.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    runtime_info = {
        key: value
        for key, value in runner.message_hub.runtime_info.items()
        # Exact types: NumPy's scalars are numbers, too, but objects on disk.
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
        "state_dict": dict(model.state_dict()),
        # Smoothed values of the log start anew; the scalars themselves are on disk.
        "message_hub": {"log_scalars": {}, "runtime_info": runtime_info, "resumed_keys": {}},
        "optimizer": runner.optim_wrapper.state_dict(),
        "param_schedulers": _scheduler_states(runner.param_schedulers),
    }


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """As MMEngine's hook, with checkpoints that a killed run can always go on from.

    They are named ``iter_<N>.pth`` in any case, after N iterations, and lie in the runner's work
    dir. Other than there: a checkpoint takes its name only once it is on disk, and older ones
    are removed after that, not before; it holds no configuration text, which MMEngine would
    evaluate on resuming, nor any object but tensors and plain values; and weights that are not
    finite are not saved, so that the last checkpoint is one to go on from. Where gradients are
    summed over iterations, a checkpoint waits for the next update of the weights.

    The best ones of ``save_best`` are named ``best_<metric>_iter_<N>.pth`` and hold weights. No
    stage starts from them or goes on from them, unless a config names them.

    Args:
        interval: iterations between checkpoints, or epochs where ``by_epoch``; -1 for none. The
            end of training is saved in any case.
        by_epoch: whether ``interval`` counts epochs.
        save_optimizer: whether the optimizer's state is saved; without it training cannot be
            resumed.
        save_param_scheduler: whether the schedulers' states are saved; likewise.
        max_keep_ckpts: how many of the newest to keep; -1 for all.
        save_best: name of a metric of validation, or several, whose best model is kept; ``auto``
            for the first metric there is.
        rule: ``greater`` or ``less``, one for each metric or one for all; by default told from
            ``greater_keys`` and ``less_keys``.
        greater_keys: metrics, or parts of their names, of which more is better.
        less_keys: metrics, or parts of their names, of which less is better.
        published_keys: parts of a checkpoint, such as ``['meta', 'state_dict']``, that a copy for
            others holds: ``iter_<N>-<8 digits of its digest>.pth`` of the last and best ones.
        save_begin: epoch or iteration from which the interval counts.
        save_last: the end is always saved; True is the only value.
        out_dir: refused, as are other places and names: later stages look in the work dir.
        filename_tmpl: as ``out_dir``.
        backend_args: as ``out_dir``.
        file_client_args: as ``out_dir``.

    Raises:
        LussError: if an argument is refused; later, if weights are not finite, or validation does
            not give the metric of ``save_best``.
        OSError: if the disk fails; older checkpoints stay.
    """

    def __init__(
        self,
        interval: int = 1,
        by_epoch: bool = True,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        out_dir: str | Path | None = None,
        max_keep_ckpts: int = 2,
        save_last: bool = True,
        save_best: str | list[str] | None = None,
        rule: str | list[str] | None = None,
        greater_keys: list[str] | None = None,
        less_keys: list[str] | None = None,
        file_client_args: dict | None = None,
        filename_tmpl: str | None = None,
        backend_args: dict | None = None,
        published_keys: str | list[str] | None = None,
        save_begin: int = 0,
    ) -> None:
        if interval < 1 and interval != -1:
            raise LussError(
                f"CheckpointHook: interval is {interval}, expected 1 or more, or -1 for the end of "
                "training alone"
            )
        if not save_last:
            raise LussError(
                "CheckpointHook: save_last is False, but later stages read the model as it is at "
                "the end of training; leave it out"
            )
        elsewhere = {
            "out_dir": out_dir,
            "filename_tmpl": filename_tmpl if filename_tmpl != _NAME else None,
            "file_client_args": file_client_args,
            "backend_args": backend_args,
        }
        for key, value in elsewhere.items():
            if value is not None:
                raise LussError(
                    f"CheckpointHook: {key} is {value!r}, but later stages and --resume look for "
                    "iter_<N>.pth in the folder of the stage; leave it out"
                )
        super().__init__(
            interval=interval,
            by_epoch=by_epoch,
            save_optimizer=save_optimizer,
            save_param_scheduler=save_param_scheduler,
            max_keep_ckpts=max_keep_ckpts,
            save_best=list(save_best) if isinstance(save_best, tuple) else save_best,
            rule=list(rule) if isinstance(rule, tuple) else rule,
            greater_keys=greater_keys,
            less_keys=less_keys,
            filename_tmpl=_NAME,
            published_keys=published_keys,
            save_begin=save_begin,
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
        """Save where the interval counts iterations, or what has waited for an update."""
        due = not self.by_epoch and self.every_n_train_iters(runner, self.interval, self.save_begin)
        if due or self._waits:
            self._save_or_wait(runner, runner.epoch, runner.iter + 1)

    def after_train_epoch(self, runner) -> None:
        """Save where the interval counts epochs, and at the end of training."""
        # By now the iteration counter has moved past the epoch's last iteration.
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
            # For users and MMEngine's tools; luss asks the folder itself.
            with atomic_write(folder / "last_checkpoint") as file:
                file.write(str(path).encode())
            self._remove_outdated(folder)
        # A rank that ran ahead could end the run before the file is there.
        barrier()

    @staticmethod
    @master_only
    def _write(runner, path: Path, epoch: int, iteration: int, without: list[str]) -> None:
        checkpoint = training_state(runner, epoch, iteration)
        runner.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        for key in without:
            checkpoint.pop(key)
        checkpoint = _plain(checkpoint)
        _refuse_not_finite(checkpoint["state_dict"], iteration)
        # Of averaged weights: those that are trained.
        _refuse_not_finite(checkpoint.get("ema_state_dict", {}), iteration)
        save(path, checkpoint)
        runner.logger.info(f"saved {path}")

    def _remove_outdated(self, folder: Path) -> None:
        if self.max_keep_ckpts <= 0:
            return
        paths = {checkpoint_step(path): path for path in folder.glob("iter_*.pth")}
        paths.pop(None, None)
        for step in sorted(paths)[: -self.max_keep_ckpts]:
            paths[step].unlink()

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        """Keep the model where a metric is better than ever; the old best goes after that."""
        if not self.save_best:
            return
        if "auto" in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        for key, rule in zip(self.key_indicators, self.rules, strict=True):
            if key not in metrics:
                raise LussError(
                    f"CheckpointHook: save_best is {key!r}, but validation gives "
                    f"{', '.join(map(repr, metrics))}; name one of these"
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
        """MMEngine's name of the best score, or of its checkpoint, in the message hub."""
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


def _refuse_not_finite(state: dict[str, Tensor], iteration: int) -> None:
    bad = [
        name
        for name, value in state.items()
        if value.is_floating_point() and not bool(value.isfinite().all())
    ]
    if bad:
        raise LussError(
            f"after iteration {iteration} {len(bad)} tensors of the model hold NaN or infinity, "
            f"such as {', '.join(bad[:3])}; they were not saved and the last checkpoint was kept. "
            "Lower the learning rate, or turn mixed precision off, and start from that checkpoint"
        )


def _plain(value, place: str = "checkpoint"):
    """Tensors on the CPU and plain values, in dicts and lists as they are.

    Raises:
        LussError: naming the place of anything else, which could not be loaded again.
    """
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, Mapping):
        return {key: _plain(entry, f"{place}.{key}") for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(entry, f"{place}.{i}") for i, entry in enumerate(value))
    if type(value) not in _PLAIN:
        raise LussError(
            f"{place} is a {type(value).__name__}, but checkpoints hold tensors and plain values "
            "alone, so that loading one executes no code; the hook, optimizer or scheduler that "
            "it belongs to cannot be resumed"
        )
    return value
