"""Momentum copy of an encoder (BYOL, PixPro)."""

import math

import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseAveragedModel
from torch import Tensor, nn

from luss.errors import LussError

__all__ = ["MomentumEncoder", "cosine_momentum"]


def cosine_momentum(step: int, total: int, base: float, end: float = 1.0) -> float:
    """Return the momentum: a cosine from ``base`` at step 0 to ``end`` at step ``total``."""
    return end - (end - base) * (math.cos(math.pi * step / total) + 1) / 2


class MomentumEncoder(BaseAveragedModel):
    """Exponential moving average of an encoder's parameters, with cosine momentum.

    The first call copies the encoder. Every ``interval``-th later call moves the copy by
    :func:`cosine_momentum` of the number of calls over all iterations of training, and logs the
    momentum. The runner sets ``interval`` to the iterations between two weight updates. Batch norms
    keep the statistics of the copy's own inputs; mmselfsup's ``CosineEMA`` copies the encoder's
    statistics, and synchronises with the device.

    Args:
        model: the encoder.
        momentum: at the start.
        end_momentum: at the end of training.
    """

    def __init__(self, model: nn.Module, momentum: float = 0.99, end_momentum: float = 1.0) -> None:
        super().__init__(model)
        self.momentum = momentum
        self.end_momentum = end_momentum
        # Mirrors the buffer 'steps', since reading a tensor synchronises with the device.
        self._calls = 0

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move the copy by one step if one is due; call this in every iteration.

        Raises:
            LussError: if the length of training is unknown.
        """
        hub = MessageHub.get_current_instance()
        total = hub.get_info("max_iters")
        if not total:
            raise LussError(
                "the momentum encoder needs the length of training, but 'max_iters' is missing in "
                "the message hub; keep default_hooks.runtime_info (RuntimeInfoHook)"
            )
        if self._calls % self.interval == 0:
            momentum = cosine_momentum(self._calls, total, self.momentum, self.end_momentum)
            copies: list[Tensor] = list(self.module.parameters())
            sources: list[Tensor] = list(model.parameters())
            if self._calls == 0:
                torch._foreach_copy_(copies, sources)
            else:
                torch._foreach_lerp_(copies, sources, 1 - momentum)
            hub.update_scalar("train/momentum", momentum)
        self._calls += 1
        self.steps += 1

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._calls = int(self.steps)
