"""MMEngine's runner with strict loading of weights, safe checkpoints and CPU support."""

import os
from datetime import timedelta
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop
from mmengine.runner import Runner as MMEngineRunner
from torch import nn
from torch.utils.data import DataLoader

from luss.engine.accumulation import follow_updates, wrappers_of
from luss.engine.bare_model import bare_model
from luss.engine.batch_norms import shuffles_batches, synchronise_objectives
from luss.engine.checkpoint import (
    init_weights_from,
    load,
    load_weights,
    newest_intact_checkpoint,
)
from luss.engine.foreign_weights import fill_backbone
from luss.engine.pretrained import load_pretrained, take_pretrained
from luss.engine.resume_from import TRAINING_STATE
from luss.engine.run_log import open_run_log
from luss.engine.workers import end_workers
from luss.errors import LussError
from luss.registry import RUNNERS

__all__ = ["Runner", "init_processes"]

_DAY = 24 * 3600


def init_processes(launcher: str) -> None:
    """Join the process group of a launcher, with gloo if there is no GPU.

    MMEngine sets a CUDA device even for gloo, so on CPUs the group is created here, before its
    runner does. The timeout is a day, since one rank may cluster for hours; the launcher stops all
    ranks when one dies.

    Args:
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Raises:
        LussError: if the launcher did not start this process, or there is no GPU and the launcher
            is not torchrun.
    """
    if launcher == "none" or torch.distributed.is_initialized():
        return
    if launcher == "pytorch" and "RANK" not in os.environ:
        raise LussError(
            "--launcher is pytorch, but torchrun did not start this process (RANK is not set); use "
            "tools/dist_train.sh or tools/dist_test.sh, or remove --launcher"
        )
    if torch.cuda.is_available():
        from mmengine.dist import init_dist

        init_dist(launcher, timeout=_DAY)
        return
    if launcher != "pytorch":
        raise LussError(
            f"--launcher is {launcher}, but there is no GPU; use tools/dist_train.sh for several "
            "processes on CPUs"
        )
    torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=_DAY))


@RUNNERS.register_module()
class Runner(MMEngineRunner):
    """MMEngine's runner with strict and safe handling of checkpoints.

    It has three more settings. ``init``: module -> checkpoint to copy it from after the model's
    own initialisation. ``weights``: file of external weights for the model's ``backbone``, see
    :class:`luss.models.backbones.weights.WeightsEntry`. ``run_log``: file to log to, instead of a
    new one in the work dir.

    Args:
        *args: see :class:`mmengine.runner.Runner`.
        **kwargs: likewise.
    """

    def __init__(self, *args, **kwargs) -> None:
        init_processes(kwargs.get("launcher", "none"))
        super().__init__(*args, **kwargs)
        # Runners of one name share the hub; this one would save values of an earlier one.
        self.message_hub.runtime_info.clear()
        self.message_hub.log_scalars.clear()

    def build_logger(self, log_level: str = "INFO", **kwargs) -> MMLogger:
        """Return the run's log if ``run_log`` is set, otherwise MMEngine's."""
        path = self.cfg.get("run_log")
        if path is None:
            return super().build_logger(log_level=log_level, **kwargs)
        return open_run_log(Path(path), log_level)

    def train(self) -> nn.Module:
        """Train to the end, then end the data-loading processes, also after an error."""
        try:
            return super().train()
        finally:
            loader = getattr(self._train_loop, "dataloader", None)
            if isinstance(loader, DataLoader):
                end_workers(loader)

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the training loop; ``by_epoch`` selects loops of luss, which resume exactly."""
        if isinstance(loop, dict) and "type" not in loop and "by_epoch" in loop:
            kind = "EpochTrainLoop" if loop["by_epoch"] else "IterTrainLoop"
            loop = {"type": kind, **{k: v for k, v in loop.items() if k != "by_epoch"}}
        return super().build_train_loop(loop)

    def build_optim_wrapper(
        self, optim_wrapper: OptimWrapper | OptimWrapperDict | dict
    ) -> OptimWrapper | OptimWrapperDict:
        """Build the optimizer wrapper; update momentum copies once per update of the weights."""
        built = super().build_optim_wrapper(optim_wrapper)
        if built is not optim_wrapper:
            follow_updates(self._bare_model, built)
        return built

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the validation loop, by default a :class:`luss.engine.loops.ValLoop`."""
        if isinstance(loop, dict):
            loop = {"type": "ValLoop", **loop}
        return super().build_val_loop(loop)

    def _log_env(self, env_cfg: dict) -> None:
        """Log nothing: the pipeline logs the environment once; each time takes seconds."""

    def dump_config(self) -> None:
        """Write nothing: the pipeline writes the complete configuration."""

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model for several processes, also on CPUs.

        A model without trained parameters is not wrapped, which PyTorch rejects. Batch norms of
        algorithms that shuffle their batches are not synchronised.
        """
        if not any(parameter.requires_grad for parameter in model.parameters()):
            return model.to(get_device())
        if self.distributed and not torch.cuda.is_available():
            synchronised = any(isinstance(part, nn.SyncBatchNorm) for part in model.modules())
            if self.cfg.pop("sync_bn", None) or synchronised:
                self.logger.info("no GPU: batch norms are not synchronised between processes")
                model = revert_sync_batchnorm(model)
            if model_wrapper_cfg is None:
                model_wrapper_cfg = {
                    "type": "MMDistributedDataParallel",
                    "device_ids": None,
                    "find_unused_parameters": self.cfg.get("find_unused_parameters", False),
                }
        if self.distributed and self.cfg.get("sync_bn") and shuffles_batches(model):
            self.logger.info(
                f"sync_bn={self.cfg['sync_bn']!r} applies to the objectives only, since "
                f"{type(model).__name__} shuffles its batches and needs batch norms of each GPU"
            )
            synchronise_objectives(model, self.cfg.pop("sync_bn"))
        return super().wrap_model(model_wrapper_cfg, model)

    def _init_model_weights(self) -> None:
        pretrained = take_pretrained(self._bare_model)
        super()._init_model_weights()
        if self._resume and self._load_from:
            # The checkpoint contains all weights.
            return
        load_pretrained(pretrained)
        init = self.cfg.get("init") or {}
        for checkpoint in dict.fromkeys(init.values()):
            parts = [part for part, source in init.items() if source == checkpoint]
            init_weights_from(self._bare_model, checkpoint, parts)
            self.logger.info(f"loaded {', '.join(parts)} from {checkpoint}")
        if self.cfg.get("weights"):
            fill_backbone(bare_model(self.model).backbone, self.cfg["weights"])

    @property
    def _bare_model(self) -> nn.Module:
        return bare_model(self.model)

    def load_checkpoint(self, filename: str, *args, **kwargs) -> dict:
        """Load all weights of a checkpoint; MMEngine skips tensors that do not fit.

        Args:
            filename: path of the checkpoint.
            *args: ignored; MMEngine passes a device and strictness.
            **kwargs: ignored.

        Returns:
            The checkpoint, without configuration text, which MMEngine would evaluate.

        Raises:
            LussError: if the file is missing, damaged, contains code or does not fit.
        """
        checkpoint = load(filename)
        meta = checkpoint.get("meta")
        checkpoint["meta"] = dict(meta) if isinstance(meta, dict) else {}
        for key in ("cfg", "config"):
            checkpoint["meta"].pop(key, None)
        if self._resuming:
            self._require_same_epochs(checkpoint, filename)
            # MMEngine warns about a difference; the config's data set is the valid one.
            checkpoint["meta"]["dataset_meta"] = self.train_dataloader.dataset.metainfo
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        load_weights(self._bare_model, checkpoint, filename)
        self._has_loaded = True
        self.logger.info(f"loaded {filename}")
        return checkpoint

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Resume from a checkpoint, or if it is damaged, from the newest intact one before it.

        The result is the same. Damaged checkpoints are renamed.

        Raises:
            LussError: if the checkpoint contains only weights, all checkpoints are damaged, or the
                length of epochs has changed.
        """
        self._resuming = True
        intact, damaged = newest_intact_checkpoint(filename)
        # All ranks must have read the checkpoints before one is renamed.
        barrier()
        for path in damaged:
            self.logger.warning(
                f"{path} IS DAMAGED and was renamed to {path.name}.damaged. Training resumes from "
                f"{intact}, with the same result"
            )
            if is_main_process():
                path.replace(f"{path}.damaged")
        super().resume(str(intact), *args, **kwargs)
        for wrapper in wrappers_of(self.optim_wrapper):
            if self.iter % wrapper._accumulative_counts and self.iter != self.max_iters:
                raise LussError(
                    f"{intact} is between two updates: {self.iter} iterations are not a multiple "
                    f"of optim_wrapper.accumulative_counts={wrapper._accumulative_counts}; resume "
                    "with the original settings, or choose another --work-dir"
                )

    _resuming = False

    def _require_same_epochs(self, checkpoint: dict, filename: str) -> None:
        meta = checkpoint["meta"]
        if not ({"epoch", "iter"} <= meta.keys() and checkpoint.keys() >= TRAINING_STATE):
            raise LussError(
                f"{filename} contains weights, but not the training state, so training cannot "
                "resume from it. Delete it to resume from the checkpoint before, or from the start"
            )
        if meta.get("seed") not in (None, self.seed):
            raise LussError(
                f"{filename} was trained with seed {meta['seed']}, but now the seed is "
                f"{self.seed}; use that seed, or choose another --work-dir"
            )
        then = meta.get("iterations_per_epoch"), meta.get("processes")
        now = len(self.train_dataloader), get_world_size()
        if None not in then and then != now:
            raise LussError(
                f"{filename} was trained by {then[1]} process(es) with {then[0]} iterations per "
                f"epoch, but now there are {now[1]} with {now[0]}; resume with the same images, "
                "batch size and number of processes, or choose another --work-dir"
            )
