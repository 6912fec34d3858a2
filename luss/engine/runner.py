"""MMEngine's runner, able to start a stage from parts of another's checkpoint, and on CPUs."""

import os
from collections.abc import Sequence

import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner as MMEngineRunner
from torch import nn

from luss.engine.checkpoint import init_weights_from, load
from luss.errors import LussError
from luss.registry import RUNNERS

__all__ = ["Runner", "init_processes"]


def init_processes(launcher: str) -> None:
    """Join the process group of a launcher, with gloo where there is no GPU.

    MMEngine sets a CUDA device even for gloo; on CPUs the group is made here, before its runner
    looks for one.

    Args:
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Raises:
        LussError: if CPUs are asked for with a launcher other than torchrun.
    """
    if launcher == "none" or torch.distributed.is_initialized():
        return
    if torch.cuda.is_available():
        from mmengine.dist import init_dist

        init_dist(launcher)
        return
    if launcher != "pytorch" or "RANK" not in os.environ:
        raise LussError(
            f"launcher {launcher!r} without a GPU: several processes on CPUs are started by "
            "torchrun, as tools/dist_train.sh does"
        )
    torch.distributed.init_process_group("gloo")


@RUNNERS.register_module()
class Runner(MMEngineRunner):
    """As MMEngine's.

    Args:
        init_from: (checkpoint, parts) pairs; each part, a module name, is copied after the
            model's own initialisation and before resuming.
        **kwargs: see :class:`mmengine.runner.Runner`.
    """

    def __init__(
        self, *args, init_from: Sequence[tuple[str, Sequence[str]]] = (), **kwargs
    ) -> None:
        self.init_from = list(init_from)
        init_processes(kwargs.get("launcher", "none"))
        super().__init__(*args, **kwargs)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap for several processes; MMEngine's default assumes GPUs."""
        if self.distributed and model_wrapper_cfg is None and not torch.cuda.is_available():
            model_wrapper_cfg = {"type": "MMDistributedDataParallel", "device_ids": None}
        return super().wrap_model(model_wrapper_cfg, model)

    def _init_model_weights(self) -> None:
        super()._init_model_weights()
        model = self.model.module if is_model_wrapper(self.model) else self.model
        for path, parts in self.init_from:
            init_weights_from(model, path, list(parts))
            self.logger.info(f"{', '.join(parts)} start from {path}")

    def load_checkpoint(self, filename: str, *args, **kwargs) -> dict:
        """As MMEngine's, after a check that the file is whole and holds no code."""
        load(filename)
        return super().load_checkpoint(filename, *args, **kwargs)
