"""LARS as the released code has it: apex LARC without clipping over SGD with momentum."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from luss.registry import OPTIMIZERS

__all__ = ["LARS", "adaptive_rates"]


def adaptive_rates(
    params: list[Tensor],
    grads: list[Tensor],
    weight_decay: float,
    trust_coefficient: float,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """Layer-wise rates trust * |p| / (|g| + wd * |p| + eps).

    Args:
        params: P tensors.
        grads: their gradients.
        weight_decay: wd.
        trust_coefficient: trust.
        eps: keeps the divisor from zero.

    Returns:
        (P,) rates and (P,) bool, where both norms are non-zero; elsewhere the rate is to be 1
        and the weight is not to decay. Both stay on the device.
    """
    param_norms = torch.stack(torch._foreach_norm(params))
    grad_norms = torch.stack(torch._foreach_norm(grads))
    rates = trust_coefficient * param_norms / (grad_norms + weight_decay * param_norms + eps)
    return rates, (param_norms > 0) & (grad_norms > 0)


@OPTIMIZERS.register_module()
class LARS(Optimizer):
    """SGD with momentum on layer-wise scaled gradients, without waiting for the device.

    For each tensor with non-zero parameter and gradient norm the gradient becomes
    ``(g + wd * p) * trust * |p| / (|g| + wd * |p| + eps)``; any other keeps its plain gradient.

    Args:
        params: parameters or groups.
        lr: learning rate.
        momentum: of SGD.
        weight_decay: wd, part of the adaptation.
        trust_coefficient: trust.
        eps: keeps the divisor from zero.
        clip: limit the adaptive rate to the learning rate (LARC's clipping mode).
    """

    def __init__(
        self,
        params: Iterable,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
        eps: float = 1e-8,
        clip: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "eps": eps,
            "clip": clip,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable | None = None) -> Tensor | None:
        """Update all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict) -> None:
        params = [param for param in group["params"] if param.grad is not None]
        if not params:
            return
        grads = [param.grad for param in params]
        rates, adapted = adaptive_rates(
            params, grads, group["weight_decay"], group["trust_coefficient"], group["eps"]
        )
        if group["clip"]:
            rates = (rates / group["lr"]).clamp(max=1)
        scale = list(torch.where(adapted, rates, 1).unbind())
        decay = list(torch.where(adapted, rates * group["weight_decay"], 0).unbind())
        updates = torch._foreach_mul(grads, scale)
        torch._foreach_add_(updates, torch._foreach_mul(params, decay))

        if group["momentum"]:
            new = [param for param in params if "momentum_buffer" not in self.state[param]]
            for param in new:
                self.state[param]["momentum_buffer"] = torch.zeros_like(param)
            buffers = [self.state[param]["momentum_buffer"] for param in params]
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_add_(buffers, updates)
            updates = buffers
        torch._foreach_add_(params, updates, alpha=-group["lr"])
