"""Epoch-based training that can resume in the middle of an epoch."""

from mmengine.runner import EpochBasedTrainLoop
from torch import nn

from luss.engine.workers import iterate
from luss.errors import LussError
from luss.registry import LOOPS

__all__ = ["EpochTrainLoop"]


@LOOPS.register_module(name=["EpochTrainLoop", "EpochBasedTrainLoop"])
class EpochTrainLoop(EpochBasedTrainLoop):
    """MMEngine's loop, but a resumed epoch skips the samples that were already used.

    MMEngine repeats them. The sampler must have ``start``, see
    :class:`luss.datasets.EpochSampler`. A validation that a killed run did not finish is repeated
    on resuming.

    Raises:
        LussError: if there are fewer images than a batch, or the sampler has no ``start``.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if len(self.dataloader) == 0:
            raise LussError(
                f"an epoch has no iteration: {len(self.dataloader.dataset)} images over "
                f"{self.runner.world_size} process(es) do not fill a batch of "
                f"{self.dataloader.batch_size}; lower train_dataloader.batch_size or add images"
            )
        sampler = self.dataloader.sampler
        if not hasattr(sampler, "start"):
            raise LussError(
                f"train_dataloader.sampler is {type(sampler).__name__}, which cannot resume in the "
                "middle of an epoch; use EpochSampler, or wrap it in ReproducibleSampler"
            )

    def run(self) -> nn.Module:
        """Train to the last epoch; validate between epochs, like MMEngine."""
        self.runner.call_hook("before_train")
        # A checkpoint is written before the validation after its epoch.
        if self._iter > 0 and self._iter == self._epoch * len(self.dataloader):
            self._validate_if_due()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate_if_due()
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        """Train one epoch, or the rest of it."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        done = self._iter - self._epoch * len(self.dataloader)
        sampler = self.dataloader.sampler
        sampler.start = done * self.dataloader.batch_size
        try:
            for index, batch in enumerate(iterate(self.dataloader), start=done):
                self.run_iter(index, batch)
        finally:
            sampler.start = 0
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def _validate_if_due(self) -> None:
        self._decide_current_val_interval()
        if (
            self.runner.val_loop is not None
            and self._epoch >= self.val_begin
            and (self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs)
        ):
            self.runner.val_loop.run()
