"""Stops training that can no longer succeed."""

import math
from collections.abc import Mapping

import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from torch import Tensor, nn

from luss.engine.accumulation import wrappers_of
from luss.engine.bare_model import bare_model
from luss.engine.unread_outputs import UnreadOutputs
from luss.errors import LussError
from luss.models.objectives.objective import objective_of
from luss.registry import HOOKS

__all__ = ["LossGuardHook", "advice", "largest_weight"]

_WEIGHT = "largest weight"
_DIVERGED = 1e3
"""Root mean square of a weight tensor that indicates divergence."""


def largest_weight(model: nn.Module) -> Tensor:
    """Return the largest root mean square of the trained tensors, without waiting for the device.

    Returns:
        Scalar float, not finite if a weight is not.
    """
    trained = [parameter.detach() for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        return torch.zeros(())
    sizes = torch.tensor([max(1, weights.numel()) for weights in trained])
    norms = torch.stack(torch._foreach_norm(trained))
    return (norms / sizes.to(norms, non_blocking=True).sqrt()).amax()


def advice(
    terms: Mapping[str, bool],
    weight: float,
    rate: float,
    half: bool,
    settings: Mapping[str, Mapping[str, float]],
) -> str:
    """Name the likely cause of losses that are not finite, and what helps against it.

    Args:
        terms: the iteration's losses, and whether each is finite; ``loss`` is the total.
        weight: :func:`largest_weight` before the iteration.
        rate: largest learning rate.
        half: whether the forward pass was in float16.
        settings: of the objective that computes a loss, by the loss; as far as they are known.
    """
    if not weight < _DIVERGED:
        return (
            f"The weights ran away before (largest root mean square {weight:.3g}): lower "
            f"optim_wrapper.optimizer.lr (now {rate:.3g}), or limit gradients by "
            "optim_wrapper.clip_grad=dict(max_norm=1.0)"
        )
    if half:
        return (
            "The weights are sound (largest root mean square "
            f"{weight:.3g}), but float16 overflows above 65504: set optim_wrapper.dtype='bfloat16',"
            " or optim_wrapper.type='OptimWrapper' for full precision"
        )
    parts = {name: finite for name, finite in terms.items() if name != "loss"} or dict(terms)
    bad = [name for name, finite in parts.items() if not finite]
    if not bad:
        return "Every single loss is finite, but not their sum: correct model.loss_weights"
    if len(bad) == len(parts) > 1:
        return (
            "The weights are sound, yet no loss is finite: what they all read is not, so look at "
            "mean and std of model.data_preprocessor, and at the backbone"
        )
    known = [
        ", ".join(f"{key}={value:g}" for key, value in settings[name].items())
        for name in bad
        if settings.get(name)
    ]
    of_loss = f" ({'; '.join(known)})" if known else ""
    return (
        "The weights are sound and precision is full, so a lower learning rate does not help: "
        f"correct the settings of what computes {', '.join(bad)}{of_loss}"
    )


@HOOKS.register_module()
class LossGuardHook(Hook):
    """Hook that raises an error with the likely cause if a loss is NaN or infinite.

    It checks every iteration, before a checkpoint of it is saved.

    Args:
        interval: iterations between checks, see :class:`UnreadOutputs`.
    """

    # Before CheckpointHook writes.
    priority = "BELOW_NORMAL"

    def __init__(self, interval: int | None = None) -> None:
        self.unread = UnreadOutputs(interval)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Note the size of the weights, which the update of a bad loss would spoil."""
        self.weight = largest_weight(runner.model)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: dict[str, Tensor] | None = None
    ) -> None:
        """Note the losses of the iteration, and check them when it is time to read them.

        Raises:
            LussError: naming every loss that is not finite.
        """
        losses = {name: value for name, value in (outputs or {}).items() if "loss" in name}
        self.unread.add(runner.iter, {**losses, _WEIGHT: self.weight})
        if self.unread.is_due(batch_idx, len(runner.train_dataloader)):
            self._check(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Check the losses that were not read yet.

        Raises:
            LussError: as :meth:`after_train_iter`.
        """
        self._check(runner)

    def _check(self, runner) -> None:
        for iteration, values in self.unread.read():
            weight = values.pop(_WEIGHT)
            bad = {name: value for name, value in values.items() if not math.isfinite(value)}
            if bad:
                listed = ", ".join(f"{name} = {value}" for name, value in bad.items())
                raise LussError(
                    f"{listed} in iteration {iteration + 1} (epoch {runner.epoch + 1}); training "
                    f"stopped and the last checkpoint was kept. "
                    f"{self._advice(runner, values, weight)}, and train in another --work-dir"
                )

    def _advice(self, runner, values: Mapping[str, float], weight: float) -> str:
        model = bare_model(runner.model)
        wrappers = wrappers_of(runner.optim_wrapper)
        return advice(
            {name: math.isfinite(value) for name, value in values.items()},
            weight,
            max(group["lr"] for wrapper in wrappers for group in wrapper.param_groups),
            any(map(_in_float16, wrappers)),
            {name: _numbers_of(model, name) for name in values},
        )


def _in_float16(wrapper) -> bool:
    if not isinstance(wrapper, AmpOptimWrapper) or not wrapper.loss_scaler.is_enabled():
        return False
    return wrapper.cast_dtype in (None, torch.float16)


def _numbers_of(model: nn.Module, loss: str) -> dict[str, float]:
    """Return the numeric settings of the objective of a loss."""
    objectives = getattr(model, "objectives", {})
    name = objective_of(loss, objectives)
    own = vars(objectives[name]) if name is not None else {}
    return {key: value for key, value in own.items() if type(value) is float}
