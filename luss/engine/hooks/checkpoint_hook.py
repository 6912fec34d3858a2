"""Checkpoints written whole before older ones go, holding data alone."""

from pathlib import Path

import mmengine
import torch
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor

from luss.engine.checkpoint import checkpoint_step, save
from luss.errors import LussError
from luss.files import atomic_write
from luss.registry import HOOKS
from luss.version import __version__

__all__ = ["CheckpointHook", "training_state"]

_PLAIN = (str, int, float, bool, type(None))


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
        "state_dict": {key: value.cpu() for key, value in model.state_dict().items()},
        # Smoothed values of the log start anew; the scalars themselves are on disk.
        "message_hub": {"log_scalars": {}, "runtime_info": runtime_info, "resumed_keys": {}},
        "optimizer": _to_cpu(runner.optim_wrapper.state_dict()),
        "param_schedulers": [schedule.state_dict() for schedule in runner.param_schedulers or ()],
    }


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Saves ``iter_<N>.pth`` in the runner's work dir, named by iterations in any case.

    Other than MMEngine's hook: a checkpoint takes its name only once it is on disk, and older ones
    are removed after that, not before; it holds no configuration text, which MMEngine would
    evaluate on resuming, nor any object but tensors and plain values; and weights that are not
    finite are not saved, so that the last checkpoint is one to go on from.

    Args:
        interval: iterations between checkpoints, or epochs where ``by_epoch``. The end of training
            is saved in any case.
        by_epoch: whether ``interval`` counts epochs.
        max_keep_ckpts: how many of the newest to keep; -1 for all.

    Raises:
        LussError: if the interval is not positive; later, if weights are not finite.
        OSError: if the disk fails; older checkpoints stay.
    """

    # After everything that an iteration changes.
    priority = "VERY_LOW"

    def __init__(self, interval: int = 1, by_epoch: bool = True, max_keep_ckpts: int = 2) -> None:
        if interval < 1:
            raise LussError(f"CheckpointHook: interval is {interval}, expected 1 or more")
        self.interval = interval
        self.by_epoch = by_epoch
        self.max_keep_ckpts = max_keep_ckpts

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Save where the interval counts iterations."""
        if not self.by_epoch and (runner.iter + 1) % self.interval == 0:
            self.save_now(runner)

    def after_train_epoch(self, runner) -> None:
        """Save where the interval counts epochs, and at the end of training."""
        # By now the iteration counter has moved past the epoch's last iteration.
        epoch, iteration = runner.epoch + 1, runner.iter
        if epoch == runner.max_epochs or (self.by_epoch and epoch % self.interval == 0):
            self._save(runner, epoch, iteration)

    def save_now(self, runner) -> None:
        """Save after the current iteration, outside the interval."""
        self._save(runner, runner.epoch, runner.iter + 1)

    def _save(self, runner, epoch: int, iteration: int) -> None:
        if is_main_process():
            checkpoint = training_state(runner, epoch, iteration)
            runner.call_hook("before_save_checkpoint", checkpoint=checkpoint)
            _refuse_not_finite(checkpoint["state_dict"], iteration)
            folder = Path(runner.work_dir)
            path = folder / f"iter_{iteration}.pth"
            save(path, checkpoint)
            runner.logger.info(f"saved {path}")
            # For users and MMEngine's tools; luss asks the folder itself.
            with atomic_write(folder / "last_checkpoint") as file:
                file.write(str(path).encode())
            self._remove_outdated(folder)
        # A rank that ran ahead could end the run before the file is there.
        barrier()

    def _remove_outdated(self, folder: Path) -> None:
        if self.max_keep_ckpts <= 0:
            return
        paths = {checkpoint_step(path): path for path in folder.glob("iter_*.pth")}
        paths.pop(None, None)
        for step in sorted(paths)[: -self.max_keep_ckpts]:
            paths[step].unlink()


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


def _to_cpu(value):
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _to_cpu(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_to_cpu(entry) for entry in value)
    return value
