"""Checkpoints written whole before older ones go, holding data alone."""

from mmengine.dist import master_only
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook

from luss.engine.checkpoint import checkpoint_step
from luss.registry import HOOKS

__all__ = ["CheckpointHook"]

_PLAIN = (str, int, float, bool, type(None))


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """MMEngine's hook, with three differences.

    A checkpoint takes its name only once it is on disk; older ones are removed after that, not
    before; and it holds no configuration text, which MMEngine would evaluate on resuming, nor
    any object but tensors and plain values.

    Args:
        interval: iterations between checkpoints, or epochs where ``by_epoch``.
        by_epoch: whether ``interval`` counts epochs.
        max_keep_ckpts: how many of the newest to keep; -1 for all.
        **kwargs: see :class:`mmengine.hooks.CheckpointHook`.
    """

    def __init__(
        self, interval: int = 1, by_epoch: bool = True, max_keep_ckpts: int = 2, **kwargs
    ) -> None:
        kwargs.setdefault("backend_args", {"backend": "luss.atomic"})
        # Named by iteration in any case, so that the newest can be told by its name.
        kwargs.setdefault("filename_tmpl", "iter_{}.pth")
        super().__init__(interval=interval, by_epoch=by_epoch, **kwargs)
        self.keep_newest = max_keep_ckpts

    def save_now(self, runner) -> None:
        """Save after the current iteration, outside the interval."""
        self._save_checkpoint(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Leave out what would need code to be loaded again."""
        checkpoint["meta"].pop("cfg", None)
        hub = checkpoint["message_hub"]
        # Smoothed values of the log start anew; the scalars themselves are on disk.
        hub["log_scalars"] = {}
        hub["runtime_info"] = {
            key: value
            for key, value in hub["runtime_info"].items()
            # Exact types: NumPy's scalars are numbers, too, but objects on disk.
            if key != "cfg" and type(value) in _PLAIN
        }
        hub["resumed_keys"] = {}

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep MMEngine from evaluating configuration text of a checkpoint's author."""
        for key in ("cfg", "config"):
            checkpoint.get("meta", {}).pop(key, None)

    def _save_checkpoint(self, runner) -> None:
        step = runner.iter if self._after_epoch else runner.iter + 1
        epoch = runner.epoch + 1 if self._after_epoch else runner.epoch
        self._save_checkpoint_with_step(runner, step, meta={"epoch": epoch, "iter": step})
        self._remove_outdated()

    def after_train_epoch(self, runner) -> None:
        """Save where the interval counts epochs."""
        # By now the iteration counter has moved past the epoch's last iteration.
        self._after_epoch = True
        super().after_train_epoch(runner)
        self._after_epoch = False

    _after_epoch = False

    @master_only
    def _remove_outdated(self) -> None:
        if self.keep_newest <= 0:
            return
        paths = {
            checkpoint_step(name): name
            for name in self.file_backend.list_dir_or_file(self.out_dir, list_dir=False)
        }
        paths.pop(None, None)
        for step in sorted(paths)[: -self.keep_newest]:
            self.file_backend.remove(self.file_backend.join_path(self.out_dir, paths[step]))
