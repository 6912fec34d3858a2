"""LARS over SGD with momentum: apex LARC as PASS' released code has it, or as PixPro's has it."""

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
    """Return layer-wise rates trust * |p| / (|g| + wd * |p| + eps).

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
    With ``decay_first`` the gradient is ``g' = g + wd * p`` from the start, and becomes
    ``g' * trust * |p| / (|g'| + eps)`` (PixPro, BYOL).

    A group with ``lars_exclude=True`` takes ``g + wd * p`` as it is, without a rate of its own; see
    :class:`luss.engine.optimizers.LARSOptimWrapperConstructor`.

    Args:
        params: parameters or groups.
        lr: learning rate.
        momentum: of SGD.
        weight_decay: wd, part of the adaptation.
        trust_coefficient: trust.
        eps: keeps the divisor from zero.
        clip: limit the adaptive rate to the learning rate (LARC's clipping mode).
        decay_first: let the weight decay count in the gradient's norm.
        lars_exclude: whether groups that do not say otherwise are left out of the adaptation.
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
        decay_first: bool = False,
        lars_exclude: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "eps": eps,
            "clip": clip,
            "decay_first": decay_first,
            "lars_exclude": lars_exclude,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(  # type: ignore[override]  # overloads of PyTorch
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
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
        if group["momentum"]:
            for param in params:
                if "momentum_buffer" not in self.state[param]:
                    self.state[param]["momentum_buffer"] = torch.zeros_like(param)
            updates = [self.state[param]["momentum_buffer"] for param in params]
            torch._foreach_mul_(updates, group["momentum"])
        else:
            updates = [torch.zeros_like(param) for param in params]
        (_add_plain if group["lars_exclude"] else _add_adapted)(updates, params, grads, group)
        torch._foreach_add_(params, updates, alpha=-group["lr"])


def _add_plain(
    updates: list[Tensor], params: list[Tensor], grads: list[Tensor], group: dict
) -> None:
    """Add gradients with weight decay to updates, in place."""
    torch._foreach_add_(updates, grads)
    if group["weight_decay"]:
        torch._foreach_add_(updates, params, alpha=group["weight_decay"])


def _add_adapted(
    updates: list[Tensor], params: list[Tensor], grads: list[Tensor], group: dict
) -> None:
    """Add gradients with weight decay and layer-wise rates to updates, in place."""
    decay = group["weight_decay"]
    if group["decay_first"]:
        grads, decay = list(torch._foreach_add(grads, params, alpha=decay)), 0.0
    rates, adapted = adaptive_rates(params, grads, decay, group["trust_coefficient"], group["eps"])
    if group["clip"]:
        rates = (rates / group["lr"]).clamp(max=1)
    # Without copies of the network's size, which would take more time than the arithmetic.
    torch._foreach_addcmul_(updates, grads, list(torch.where(adapted, rates, 1).unbind()))
    if decay:
        shares = torch.where(adapted, rates * decay, 0)
        torch._foreach_addcmul_(updates, params, list(shares.unbind()))
