"""A copy of an encoder that follows it slowly (BYOL, PixPro)."""

import math

import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseAveragedModel
from torch import nn

from luss.errors import LussError

__all__ = ["MomentumEncoder", "cosine_momentum"]


def cosine_momentum(step: int, total: int, base: float, end: float = 1.0) -> float:
    """Momentum that rises from ``base`` at step 0 to ``end`` at step ``total`` by a cosine."""
    return end - (end - base) * (math.cos(math.pi * step / total) + 1) / 2


class MomentumEncoder(BaseAveragedModel):
    """A copy whose parameters follow an encoder's, by a momentum that rises in a cosine.

    The first call makes the copy equal. Every ``interval``-th one after it moves the copy by
    :func:`cosine_momentum` of the calls so far over all iterations of training, and logs the
    momentum; the runner sets ``interval`` to the iterations between two updates of the weights.
    Batch norms keep the statistics of what the copy itself sees. Other than mmselfsup's
    ``CosineEMA``, which keeps the encoder's statistics, it never waits for the device.

    Args:
        model: the encoder.
        momentum: at the start.
        end_momentum: at the end of training.
    """

    def __init__(self, model: nn.Module, momentum: float = 0.99, end_momentum: float = 1.0) -> None:
        super().__init__(model)
        self.momentum = momentum
        self.end_momentum = end_momentum
        # The buffer 'steps' in Python, since asking a tensor waits for the device.
        self._calls = 0

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Follow the encoder by one step, if it is due; call it in every iteration.

        Raises:
            LussError: if nobody has told how long training is.
        """
        hub = MessageHub.get_current_instance()
        total = hub.get_info("max_iters")
        if not total:
            raise LussError(
                "the momentum encoder does not know how long training is, which RuntimeInfoHook "
                "tells as 'max_iters'; keep default_hooks.runtime_info"
            )
        if self._calls % self.interval == 0:
            momentum = cosine_momentum(self._calls, total, self.momentum, self.end_momentum)
            copies, sources = list(self.module.parameters()), list(model.parameters())
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
