"""Training for a number of iterations that can resume in the middle of the data."""

import math
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from luss.engine.loops.epoch_train_loop import EpochTrainLoop
from luss.engine.workers import iterate
from luss.errors import LussError
from luss.registry import LOOPS

__all__ = ["IterTrainLoop"]

_PASS, _PASS_BEGIN = "data_pass", "data_pass_begin"


@LOOPS.register_module(name=["IterTrainLoop", "IterBasedTrainLoop"])
class IterTrainLoop(EpochTrainLoop):
    """MMEngine's ``IterBasedTrainLoop``, but resumed training skips the samples already used.

    ``len(train_dataloader)`` iterations are an epoch, also for hooks and schedulers, which have
    only one epoch in MMEngine; the last one may be shorter. Samplers that end, such as
    :class:`luss.datasets.EpochSampler`, start the next epoch; endless ones continue.

    Args:
        runner: of the training.
        dataloader: see :class:`EpochTrainLoop`.
        max_iters: iterations to train for.
        val_begin: first iteration to validate at.
        val_interval: iterations between validations; the end is validated in any case.
        dynamic_intervals: (iteration, interval from then on) pairs.

    Raises:
        LussError: as :class:`EpochTrainLoop`, or if ``max_iters`` is not an integer of at least 1.
    """

    def __init__(
        self,
        runner,
        dataloader: DataLoader | dict,
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(runner, dataloader, 1, val_begin, val_interval, dynamic_intervals)
        if isinstance(max_iters, bool) or not isinstance(max_iters, int) or max_iters < 1:
            raise LussError(f"train_cfg.max_iters is {max_iters!r}, expected an integer above 0")
        self._max_iters = max_iters
        self._max_epochs = math.ceil(max_iters / len(self.dataloader))

    def run(self) -> nn.Module:
        """Train to the last iteration; validate between iterations, like MMEngine."""
        self.runner.call_hook("before_train")
        if self._iter > 0:
            # A checkpoint may be written before the epoch's end and a due validation.
            if self._epoch_is_over():
                self.runner.call_hook("before_train_epoch")
                self._end_epoch()
            self._validate_if_due()
        batches = self._batches()
        try:
            while self._iter < self._max_iters and not self.stop_training:
                self._run_epoch_on(batches)
        finally:
            batches.close()
        self.runner.call_hook("after_train")
        return self.runner.model

    def _run_epoch_on(self, batches: Iterator[Any]) -> None:
        epoch = self._epoch
        self.runner.call_hook("before_train_epoch")
        while self._epoch == epoch and not self.stop_training:
            # Validation sets evaluation mode.
            self.runner.model.train()
            self.run_iter(self._iter - epoch * len(self.dataloader), next(batches))
            if self._epoch_is_over():
                self._end_epoch()
            self._validate_if_due()
        if self._epoch == epoch:
            self._end_epoch()

    def _batches(self) -> Generator[Any, None, None]:
        """Yield batches without end, after those that were used before resuming."""
        # The message hub is part of checkpoints.
        info, sampler = self.runner.message_hub.runtime_info, self.dataloader.sampler
        sampler.start = (self._iter - info.get(_PASS_BEGIN, 0)) * self.dataloader.batch_size
        try:
            while True:
                sampler.set_epoch(info.get(_PASS, 0))
                yield from iterate(self.dataloader)
                sampler.start = 0
                self.runner.message_hub.update_info(_PASS, info.get(_PASS, 0) + 1)
                self.runner.message_hub.update_info(_PASS_BEGIN, self._iter)
        finally:
            sampler.start = 0

    def _epoch_is_over(self) -> bool:
        complete = self._iter == (self._epoch + 1) * len(self.dataloader)
        return complete or (self._iter == self._max_iters and self._epoch < self._max_epochs)

    def _end_epoch(self) -> None:
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def _decide_current_val_interval(self) -> None:
        done = self._iter + 1
        intervals = zip(self.dynamic_milestones, self.dynamic_intervals, strict=True)
        self.val_interval = [interval for first, interval in intervals if first <= done][-1]

    def _validate_if_due(self) -> None:
        self._decide_current_val_interval()
        if (
            self.runner.val_loop is not None
            and self._iter >= self.val_begin
            and (self._iter % self.val_interval == 0 or self._iter == self._max_iters)
        ):
            self.runner.val_loop.run()
