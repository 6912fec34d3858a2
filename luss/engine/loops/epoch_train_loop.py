"""Epoch-based training that goes on in the middle of an epoch."""

from mmengine.runner import EpochBasedTrainLoop

from luss.engine.workers import iterate
from luss.errors import LussError
from luss.registry import LOOPS

__all__ = ["EpochTrainLoop"]


@LOOPS.register_module()
class EpochTrainLoop(EpochBasedTrainLoop):
    """As MMEngine's loop; a resumed epoch passes over the samples that were already used.

    MMEngine would repeat them. The sampler must have ``start``, as
    :class:`luss.datasets.EpochSampler` has it.

    Raises:
        LussError: if an epoch has no iteration, as there are fewer images than a batch.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if len(self.dataloader) == 0:
            raise LussError(
                f"an epoch has no iteration: {len(self.dataloader.dataset)} images over "
                f"{self.runner.world_size} process(es) do not fill a batch of "
                f"{self.dataloader.batch_size}; lower train_dataloader.batch_size or add images"
            )

    def run_epoch(self) -> None:
        """Iterate one epoch, or what is left of it."""
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
