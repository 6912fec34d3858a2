"""Mixed precision on GPUs, and on CPUs with bfloat16 units."""

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
"""CPU flags of Linux: two of x86 and one of ARM."""


def cpu_has_bf16_units(cpuinfo: str | None = None) -> bool:
    """Return whether the CPU has bfloat16 units; emulation is slower than float32.

    Args:
        cpuinfo: text of ``/proc/cpuinfo``; by default that of this machine. Without such a file,
            as on macOS, the result is False.
    """
    if cpuinfo is None:
        path = Path("/proc/cpuinfo")
        cpuinfo = path.read_text(errors="replace") if path.exists() else ""
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    flags = [words for name, _, words in lines if name.strip() in ("flags", "Features")]
    return bool(flags) and all(_FLAGS.intersection(words.split()) for words in flags)


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(MMEngineAmpOptimWrapper):
    """MMEngine's wrapper, which also works on CPUs.

    On CPUs, training is in full precision, which is logged, unless ``dtype='bfloat16'`` and the
    CPU has bfloat16 units. Losses, codes, normalisation to unit length and statistics of batch
    norms are always computed in float32. Checkpoints of GPUs can be resumed on CPUs, and vice
    versa.

    Args:
        loss_scale: of float16 gradients, see MMEngine; no effect on CPUs.
        dtype: ``float16`` (MMEngine's default on GPUs) or ``bfloat16``.
        use_fsdp: see MMEngine.
        **kwargs: of ``mmengine.optim.OptimWrapper``: ``optimizer``, ``accumulative_counts`` and
            ``clip_grad``.

    Raises:
        LussError: if ``dtype`` is another one on a CPU.
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
        """Log a message if there is no mixed precision; then as MMEngine."""
        if self.missing:
            print_log(self.missing, "current", level=logging.INFO)
        super().initialize_count_status(model, init_counts, max_counts)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enable mixed precision for a forward pass, if available."""
        if self.on_cpu and self.cast_dtype is None:
            with OptimWrapper.optim_context(self, model):
                yield
        else:
            with super().optim_context(model):
                yield

    def state_dict(self) -> dict:
        """Return the state of the optimizer, and of the loss scaler if it is enabled."""
        state = super().state_dict()
        if not state["loss_scaler"]:
            # An enabled scaler rejects an empty state.
            del state["loss_scaler"]
        return state
