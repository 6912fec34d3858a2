"""Mixed precision on GPUs as MMEngine has it, and on CPUs that compute with bfloat16."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper as MMEngineAmpOptimWrapper
from mmengine.optim import OptimWrapper
from torch import nn

from luss.errors import LussError
from luss.registry import OPTIM_WRAPPERS

__all__ = ["AmpOptimWrapper", "cpu_has_bf16_units"]

_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Of x86 and, the last one, of ARM, as Linux names them."""


def cpu_has_bf16_units(cpuinfo: str | None = None) -> bool:
    """Whether the CPU multiplies bfloat16 itself; others emulate it, slower than float32.

    Args:
        cpuinfo: text of ``/proc/cpuinfo``; by default that of this machine. Where there is no such
            file, as on macOS, the answer is no.
    """
    if cpuinfo is None:
        path = Path("/proc/cpuinfo")
        cpuinfo = path.read_text(errors="replace") if path.exists() else ""
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    flags = [words for name, _, words in lines if name.strip() in ("flags", "Features")]
    return bool(flags) and all(_FLAGS.intersection(words.split()) for words in flags)


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(MMEngineAmpOptimWrapper):
    """As MMEngine's on GPUs; on CPUs ``dtype='bfloat16'`` is mixed precision, too.

    Other than there, a config for GPUs trains on CPUs as well: in full precision, which the log
    says, unless bfloat16 is asked for and the CPU has units for it. Losses, codes and
    normalisation to unit length are computed in float32 in any case; of batch norms the
    statistics are. Checkpoints of the one can be gone on from by the other.

    Args:
        loss_scale: of float16 gradients, see MMEngine; without effect on CPUs.
        dtype: ``float16`` (MMEngine's default on GPUs) or ``bfloat16``.
        use_fsdp: see MMEngine.
        **kwargs: of ``mmengine.optim.OptimWrapper``: ``optimizer``, ``accumulative_counts`` and
            ``clip_grad``.

    Raises:
        LussError: if the CPU is asked for a dtype that is neither of them.
    """

    def __init__(
        self,
        loss_scale: float | dict | Literal["dynamic"] = "dynamic",
        dtype: str | torch.dtype | None = None,
        use_fsdp: bool = False,
        **kwargs,
    ) -> None:
        self.on_cpu = get_device() == "cpu"
        self.missing = ""
        if not self.on_cpu:
            super().__init__(loss_scale=loss_scale, dtype=dtype, use_fsdp=use_fsdp, **kwargs)
            return
        OptimWrapper.__init__(self, **kwargs)
        name = str(dtype or "float16").removeprefix("torch.")
        if name not in self.valid_dtypes:
            raise LussError(
                f"AmpOptimWrapper: dtype is {dtype!r}, expected 'float16' or 'bfloat16'"
            )
        self._scale_update_param = None
        self.loss_scaler = torch.amp.GradScaler("cpu", enabled=False)
        self.cast_dtype = None
        if name != "bfloat16":
            self.missing = "no GPU: training in full precision instead of mixed precision"
        elif not cpu_has_bf16_units():
            self.missing = (
                "this CPU has no units for bfloat16: training in full precision instead of mixed "
                "precision"
            )
        else:
            self.cast_dtype = torch.bfloat16

    def initialize_count_status(self, model: nn.Module, init_counts: int, max_counts: int) -> None:
        """As MMEngine, when training begins; says so where there is no mixed precision."""
        if self.missing:
            print_log(self.missing, "current", level=logging.INFO)
        super().initialize_count_status(model, init_counts, max_counts)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Mixed precision for a forward pass, where there is any."""
        if self.on_cpu and self.cast_dtype is None:
            with OptimWrapper.optim_context(self, model):
                yield
        else:
            with super().optim_context(model):
                yield

    def state_dict(self) -> dict:
        """That of the optimizer, and of the loss scaler where it scales."""
        state = super().state_dict()
        if not state["loss_scaler"]:
            # A scaler that is to scale would refuse it.
            del state["loss_scaler"]
        return state
