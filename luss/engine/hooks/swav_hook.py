"""The queue of mmselfsup's SwAV, kept in checkpoints."""

import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from mmselfsup.engine.hooks import SwAVHook as MMSelfSupSwAVHook
from torch import Tensor

from luss.engine.accumulation import iterations_per_update
from luss.engine.bare_model import bare_model
from luss.errors import LussError
from luss.registry import HOOKS

__all__ = ["SwAVHook"]

_KEY = "swav_queue"


@HOOKS.register_module()
class SwAVHook(MMSelfSupSwAVHook):
    """As mmselfsup's hook for ``mmselfsup.SwAV``, and resumed training is exact.

    Other than there, the queue lies on the model's device, CPUs included, and in the checkpoint
    rather than in files beside it, as a whole: processes tell each other their shares after every
    iteration, since only the first one saves.

    Args:
        queue_length: number of embeddings of earlier batches, over all processes, for computing
            codes; rounded down to a multiple of the global batch. 0 for none.
        epoch_queue_starts: zero-based epoch from which the queue fills.
        feat_dim: length of the embeddings.
        crops_for_assign: crops whose codes the loss computes.
        frozen_layers_cfg: name, or a part of the name, of parameters -> updates of the weights for
            which they are frozen. ``head.loss.prototypes`` are SwAV's own; ``prototypes`` would
            freeze those of a Clustering objective, too.
    """

    frozen_layers_cfg: dict[str, int]
    queue: Tensor | None

    def __init__(
        self,
        queue_length: int = 0,
        epoch_queue_starts: int = 15,
        feat_dim: int = 128,
        crops_for_assign: tuple[int, ...] = (0, 1),
        frozen_layers_cfg: dict[str, int] | None = None,
    ) -> None:
        super().__init__(
            batch_size=1,
            queue_length=queue_length,
            epoch_queue_starts=epoch_queue_starts,
            feat_dim=feat_dim,
            crops_for_assign=list(crops_for_assign),
            frozen_layers_cfg=dict(frozen_layers_cfg or {}),
        )
        self.shares: list[Tensor] = []
        self.frozen_updates = self.frozen_layers_cfg

    def check_fit(self, runner) -> None:
        """Check the length of the queue, and the layers to freeze.

        Raises:
            LussError: if the queue is shorter than the global batch, or a layer is missing.
        """
        batch_size = runner.train_dataloader.batch_size * get_world_size()
        if 0 < self.queue_length < batch_size:
            raise LussError(
                f"SwAVHook: the queue holds {self.queue_length} embeddings, but one batch over all "
                f"processes has {batch_size}; set queue_length to 0 or to at least that"
            )
        names = [name for name, _ in bare_model(runner.model).named_parameters()]
        for layer in self.frozen_layers_cfg:
            if not any(layer in name for name in names):
                raise LussError(
                    f"SwAVHook: frozen_layers_cfg has {layer!r}, but no parameter has this name; "
                    "SwAV's own prototypes are head.loss.prototypes"
                )

    def before_run(self, runner) -> None:
        """Round the queue's length; see :meth:`check_fit`."""
        self.check_fit(runner)
        self.batch_size = runner.train_dataloader.batch_size * get_world_size()
        self.queue_length -= self.queue_length % self.batch_size

    def before_train(self, runner) -> None:
        """Freeze for updates of the weights; mmselfsup counts iterations."""
        counts = iterations_per_update(runner.optim_wrapper)
        self.frozen_layers_cfg = {name: counts * n for name, n in self.frozen_updates.items()}

    def before_train_epoch(self, runner) -> None:
        """Make the queue when its time has come, and hand it to the loss."""
        model = bare_model(runner.model)
        device = next(model.parameters()).device
        starts = runner.epoch >= self.epoch_queue_starts
        if self.queue is None and self.queue_length > 0 and starts:
            length = self.queue_length // get_world_size()
            self.queue = torch.zeros(len(self.crops_for_assign), length, self.feat_dim)
        if self.queue is not None:
            self.queue = self.queue.to(device)
        # The loss fills it in place.
        model.head.loss.queue = self.queue
        model.head.loss.use_queue = False

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Let all processes know the whole queue, before any hook saves."""
        if self.queue is not None:
            self.shares = all_gather(self.queue) if get_world_size() > 1 else [self.queue]

    def after_train_epoch(self, runner) -> None:
        """Write nothing; checkpoints hold the queue."""

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add the queue, (processes, crops, rows, D)."""
        if self.shares:
            checkpoint[_KEY] = torch.stack(self.shares).cpu()

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Take up this process's share of the queue."""
        if _KEY in checkpoint:
            self.queue = checkpoint[_KEY][get_rank()].clone()
