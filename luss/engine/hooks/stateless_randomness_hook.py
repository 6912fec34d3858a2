"""Randomness of a step that depends on its number alone."""

import torch
from mmengine.hooks import Hook

from luss.randomness import mix_seed
from luss.registry import HOOKS

__all__ = ["StatelessRandomnessHook"]


@HOOKS.register_module()
class StatelessRandomnessHook(Hook):
    """Seeds torch by (seed, iteration, rank) before every iteration.

    Augmentation on the device then draws the same in a resumed run as in one that was never
    interrupted, and no random state needs to be saved.
    """

    priority = "VERY_HIGH"

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Seed the generators of all devices."""
        torch.manual_seed(mix_seed(runner.seed, runner.iter, runner.rank))
