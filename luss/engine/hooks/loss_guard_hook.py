"""Stops training that can no longer succeed."""

import math

from mmengine.hooks import Hook
from torch import Tensor

from luss.errors import LussError
from luss.registry import HOOKS

__all__ = ["LossGuardHook"]


@HOOKS.register_module()
class LossGuardHook(Hook):
    """Raises when a loss is NaN or infinite, naming the term.

    It looks after every iteration, before a checkpoint is saved, at values that MMEngine's
    logging has already brought from the device.
    """

    # After RuntimeInfoHook has read the losses, before CheckpointHook writes.
    priority = "BELOW_NORMAL"

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: dict[str, Tensor] | None = None
    ) -> None:
        """Check all losses of the iteration.

        Raises:
            LussError: naming every loss that is not finite.
        """
        scalars = runner.message_hub.log_scalars
        bad = {
            name: value
            for name in outputs or {}
            if "loss" in name and not math.isfinite(value := scalars[f"train/{name}"].current())
        }
        if bad:
            terms = ", ".join(f"{name} = {value}" for name, value in bad.items())
            raise LussError(
                f"{terms} in iteration {runner.iter + 1} (epoch {runner.epoch + 1}); training "
                "stopped and the last checkpoint was kept. Lower the learning rate, or turn mixed "
                "precision off, and resume"
            )
