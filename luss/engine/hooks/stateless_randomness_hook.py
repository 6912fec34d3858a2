"""Random seeds that depend only on the iteration."""

import torch
from mmengine.hooks import Hook

from luss.randomness import mix_seed
from luss.registry import HOOKS

__all__ = ["StatelessRandomnessHook"]


@HOOKS.register_module()
class StatelessRandomnessHook(Hook):
    """Hook that seeds torch by (seed, iteration, rank) before every iteration.

    Augmentation on the device is then the same in a resumed run, and no random state is saved.
    """

    priority = "VERY_HIGH"

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Seed the generators of all devices."""
        torch.manual_seed(mix_seed(runner.seed, runner.iter, runner.rank))
