"""MMEngine's runner, able to start a stage from parts of another's checkpoint, and on CPUs."""

import os
from datetime import timedelta
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper, revert_sync_batchnorm
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop
from mmengine.runner import Runner as MMEngineRunner
from torch import nn

from luss.engine.accumulation import follow_updates, wrappers_of
from luss.engine.batch_norms import shuffles_batches, synchronise_objectives
from luss.engine.checkpoint import (
    init_weights_from,
    load,
    load_weights,
    newest_whole_checkpoint,
)
from luss.engine.foreign_weights import fill_backbone
from luss.engine.pretrained import fill, take_pretrained
from luss.engine.resume_from import TRAINING_STATE
from luss.engine.run_log import open_run_log
from luss.errors import LussError
from luss.registry import RUNNERS

__all__ = ["Runner", "init_processes"]

_DAY = 24 * 3600


def init_processes(launcher: str) -> None:
    """Join the process group of a launcher, with gloo where there is no GPU.

    MMEngine sets a CUDA device even for gloo; on CPUs the group is made here, before its runner
    looks for one. Ranks wait for each other up to a day, since one of them clusters alone for
    hours; the launcher ends them all when one dies.

    Args:
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Raises:
        LussError: if the launcher has started nothing, or CPUs are asked for with a launcher other
            than torchrun.
    """
    if launcher == "none" or torch.distributed.is_initialized():
        return
    if launcher == "pytorch" and "RANK" not in os.environ:
        raise LussError(
            "launcher 'pytorch', but torchrun has not started this process (RANK is not set); use "
            "tools/dist_train.sh or tools/dist_test.sh, or leave --launcher out"
        )
    if torch.cuda.is_available():
        from mmengine.dist import init_dist

        init_dist(launcher, timeout=_DAY)
        return
    if launcher != "pytorch":
        raise LussError(
            f"launcher {launcher!r} without a GPU: several processes on CPUs are started by "
            "torchrun, as tools/dist_train.sh does"
        )
    torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=_DAY))


@RUNNERS.register_module()
class Runner(MMEngineRunner):
    """As MMEngine's, but strict and safe with checkpoints.

    Three more keys of its configuration are read. ``init`` is a dict of parts, names of modules,
    and the checkpoints that they are copied from after the model's own initialisation. ``weights``
    fills the model's ``backbone`` from a file of external weights, see
    :class:`luss.models.backbones.weights.WeightsEntry`. ``run_log`` is the file to log to, instead
    of a new one in the work dir.

    Args:
        *args: see :class:`mmengine.runner.Runner`.
        **kwargs: likewise.
    """

    def __init__(self, *args, **kwargs) -> None:
        init_processes(kwargs.get("launcher", "none"))
        super().__init__(*args, **kwargs)
        # Runners of one name share it; what an earlier one has left would be saved as this one's.
        self.message_hub.runtime_info.clear()
        self.message_hub.log_scalars.clear()

    def build_logger(self, log_level: str = "INFO", **kwargs) -> MMLogger:
        """The log of the run that this runner is a stage of, or one of its own."""
        path = self.cfg.get("run_log")
        if path is None:
            return super().build_logger(log_level=log_level, **kwargs)
        return open_run_log(Path(path), log_level)

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """As MMEngine; ``by_epoch`` stands for loops that can be resumed exactly."""
        if isinstance(loop, dict) and "type" not in loop and "by_epoch" in loop:
            kind = "EpochTrainLoop" if loop["by_epoch"] else "IterTrainLoop"
            loop = {"type": kind, **{k: v for k, v in loop.items() if k != "by_epoch"}}
        return super().build_train_loop(loop)

    def build_optim_wrapper(
        self, optim_wrapper: OptimWrapper | OptimWrapperDict | dict
    ) -> OptimWrapper | OptimWrapperDict:
        """As MMEngine; momentum copies in the model move once per update of the weights."""
        built = super().build_optim_wrapper(optim_wrapper)
        if built is not optim_wrapper:
            follow_updates(self._bare_model, built)
        return built

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """As MMEngine, with a :class:`luss.engine.loops.ValLoop` where no type is named."""
        if isinstance(loop, dict):
            loop = {"type": "ValLoop", **loop}
        return super().build_val_loop(loop)

    def _log_env(self, env_cfg: dict) -> None:
        """Log nothing: the pipeline tells about the machine; asking takes seconds each time."""

    def dump_config(self) -> None:
        """Write nothing: the pipeline keeps the whole configuration."""

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap for several processes; MMEngine's default assumes GPUs.

        PyTorch refuses to wrap a model in which nothing is trained, of which there is no need.
        Algorithms that shuffle their batches keep batch norms of each process.
        """
        if not any(parameter.requires_grad for parameter in model.parameters()):
            return model.to(get_device())
        if self.distributed and not torch.cuda.is_available():
            synchronised = any(isinstance(part, nn.SyncBatchNorm) for part in model.modules())
            if self.cfg.pop("sync_bn", None) or synchronised:
                self.logger.info("no GPU: batch norm is not synchronised between processes")
                model = revert_sync_batchnorm(model)
            if model_wrapper_cfg is None:
                model_wrapper_cfg = {
                    "type": "MMDistributedDataParallel",
                    "device_ids": None,
                    "find_unused_parameters": self.cfg.get("find_unused_parameters", False),
                }
        if self.distributed and self.cfg.get("sync_bn") and shuffles_batches(model):
            self.logger.info(
                f"sync_bn={self.cfg['sync_bn']!r} is for the objectives only: "
                f"{type(model).__name__} shuffles its batches, for which each GPU normalises alone"
            )
            synchronise_objectives(model, self.cfg.pop("sync_bn"))
        return super().wrap_model(model_wrapper_cfg, model)

    def _init_model_weights(self) -> None:
        pretrained = take_pretrained(self._bare_model)
        super()._init_model_weights()
        if self._resume and self._load_from:
            # All of it comes from the checkpoint.
            return
        fill(pretrained)
        init = self.cfg.get("init") or {}
        for checkpoint in dict.fromkeys(init.values()):
            parts = [part for part, source in init.items() if source == checkpoint]
            init_weights_from(self._bare_model, checkpoint, parts)
            self.logger.info(f"{', '.join(parts)} start from {checkpoint}")
        if self.cfg.get("weights"):
            fill_backbone(self._bare_model.backbone, self.cfg["weights"])

    @property
    def _bare_model(self) -> nn.Module:
        return self.model.module if is_model_wrapper(self.model) else self.model

    def load_checkpoint(self, filename: str, *args, **kwargs) -> dict:
        """Load a checkpoint's weights, all or none; MMEngine would skip what does not fit.

        Args:
            filename: path of the checkpoint.
            *args: not looked at, nor are ``kwargs``; MMEngine passes where to and how strictly.
            **kwargs: see ``args``.

        Returns:
            The checkpoint, without configuration text, which MMEngine would evaluate.

        Raises:
            LussError: if the file is missing, damaged, holds code or does not fit.
        """
        checkpoint = load(filename)
        meta = checkpoint.get("meta")
        checkpoint["meta"] = dict(meta) if isinstance(meta, dict) else {}
        for key in ("cfg", "config"):
            checkpoint["meta"].pop(key, None)
        if self._resuming:
            self._refuse_other_epochs(checkpoint, filename)
            # MMEngine warns where it differs; the config's own data set counts.
            checkpoint["meta"]["dataset_meta"] = self.train_dataloader.dataset.metainfo
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        load_weights(self._bare_model, checkpoint, filename)
        self._has_loaded = True
        self.logger.info(f"loaded {filename}")
        return checkpoint

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Go on from a checkpoint, or where it is damaged from the newest whole one before it.

        The result is the same; the damaged one is set aside, as it would stand for the newest.

        Raises:
            LussError: if it holds weights alone, no checkpoint is whole, or the epochs have
                another length now.
        """
        self._resuming = True
        whole, damaged = newest_whole_checkpoint(filename)
        # All ranks must have looked before any is renamed.
        barrier()
        for path in damaged:
            self.logger.warning(
                f"{path} IS DAMAGED. Training goes on from {whole}, before it, to the same "
                f"result; the damaged file is now {path.name}.damaged"
            )
            if is_main_process():
                path.replace(f"{path}.damaged")
        super().resume(str(whole), *args, **kwargs)
        for wrapper in wrappers_of(self.optim_wrapper):
            if self.iter % wrapper._accumulative_counts and self.iter != self.max_iters:
                raise LussError(
                    f"{whole} lies between two updates: {self.iter} iterations are no multiple of "
                    f"optim_wrapper.accumulative_counts={wrapper._accumulative_counts}; go on with "
                    "the settings that it was made with, or choose another --work-dir"
                )

    _resuming = False

    def _refuse_other_epochs(self, checkpoint: dict, filename: str) -> None:
        meta = checkpoint["meta"]
        if not ({"epoch", "iter"} <= meta.keys() and checkpoint.keys() >= TRAINING_STATE):
            raise LussError(
                f"{filename} holds weights, but not the state of training; training cannot go on "
                "from it. Remove it to train from the checkpoint before, or from the start"
            )
        if meta.get("seed") not in (None, self.seed):
            raise LussError(
                f"{filename} was made with seed {meta['seed']}, now the seed is {self.seed}; go on "
                "with that one, or choose another --work-dir"
            )
        then = meta.get("iterations_per_epoch"), meta.get("processes")
        now = len(self.train_dataloader), get_world_size()
        if None not in then and then != now:
            raise LussError(
                f"{filename} comes from {then[1]} process(es) with {then[0]} iterations an epoch, "
                f"now there are {now[1]} with {now[0]}; go on with the same images, batch size "
                "and number of processes, or choose another --work-dir"
            )
