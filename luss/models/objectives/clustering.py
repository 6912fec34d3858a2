"""The clustering objective L_e of PASS_s: SwAV (Caron et al., 2020).

It owns projector M_I, prototypes, codes and queue. PASS_s trains it as L_e, D2S reads its codes and
prototypes, and pixel attention trains it further.
"""

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor, nn

from luss.errors import LussError
from luss.models.heads.projector import LinearProjector
from luss.models.objectives.objective import Objective
from luss.models.objectives.sinkhorn import sinkhorn
from luss.registry import MODELS
from luss.structures import Assignment, ViewFeatures, at_least_float32

__all__ = [
    "Clustering",
    "codes_like",
    "prototype_scores",
    "soft_cross_entropy",
    "swapped_prediction_loss",
]


def prototype_scores(embeddings: Tensor, prototypes: Tensor) -> Tensor:
    """Multiply unit embeddings and prototypes in float32, even under mixed precision.

    Half precision changes exp(score / epsilon) by several percent.

    Args:
        embeddings: (M, D) float.
        prototypes: (K, D) float.

    Returns:
        (M, K) float32 (float64 for float64).
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        return at_least_float32(embeddings) @ at_least_float32(prototypes).T


def soft_cross_entropy(scores: Tensor, codes: Tensor, temperature: float) -> Tensor:
    """Compute the cross entropy between soft assignments and scores.

    Args:
        scores: (..., N, K) float.
        codes: (..., N, K) float, rows sum to one.
        temperature: divides the scores.

    Returns:
        (...) float, mean over the N samples.
    """
    # Half precision would lose the tail of 3000 prototypes.
    return -(codes * F.log_softmax(scores.float() / temperature, dim=-1)).sum(-1).mean(-1)


def swapped_prediction_loss(scores: Tensor, codes: Tensor, temperature: float) -> Tensor:
    """Compute the loss of each assigning crop's codes against all other views (SwAV, equation 2).

    Args:
        scores: (V, N, K) float, scores of every view; the first A views are the assigning crops.
        codes: (A, N, K) float, their codes.
        temperature: divides the scores.

    Returns:
        Scalar: mean over the V - 1 other views, then over the A assigning crops.
    """
    views, assigning = scores.shape[0], codes.shape[0]
    losses = soft_cross_entropy(scores[None], codes[:, None], temperature)  # (A, V)
    own = torch.eye(assigning, views, dtype=torch.bool, device=losses.device)
    return losses.masked_fill(own, 0).sum() / (assigning * (views - 1))


def codes_like(scores: Tensor, assignment: Assignment) -> Tensor:
    """Compute codes of any scores with the clustering objective's settings, without a queue.

    Args:
        scores: (A, M, K) float, of A sets of M rows; each set is balanced on its own, over all
            ranks.
        assignment: of the clustering objective.

    Returns:
        (A, M, K) float32, without gradient.
    """
    epsilon, iterations = assignment.epsilon, assignment.sinkhorn_iterations
    return torch.stack([sinkhorn(rows.detach(), epsilon, iterations) for rows in scores])


@MODELS.register_module()
class Clustering(Objective):
    """Objective of swapped prediction between views over learnt prototypes.

    Args:
        in_channels: channels L of the pooled features.
        hidden_channels: width of projector M_I.
        embedding_channels: D, length of the embeddings.
        num_prototypes: K.
        epsilon: smoothness of the Sinkhorn codes.
        sinkhorn_iterations: iterations of Sinkhorn-Knopp.
        temperature: of the softmax over prototypes.
        queue_length: number of embeddings of earlier batches, over all ranks, used to compute
            codes; rounded down to a multiple of the global batch. 0 for no queue.
        queue_start_epoch: zero-based epoch from which the queue is filled.
        frozen_prototype_iters: number of first weight updates in which the prototypes are frozen;
            updates are iterations unless gradients are accumulated.
        num_assigning_crops: number of first crops whose codes supervise, the large ones.
        init_cfg: see :class:`mmengine.model.BaseModule`.
    """

    gives_codes = True

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        num_prototypes: int,
        embedding_channels: int = 128,
        epsilon: float = 0.05,
        sinkhorn_iterations: int = 3,
        temperature: float = 0.1,
        queue_length: int = 0,
        queue_start_epoch: int = 0,
        frozen_prototype_iters: int = 0,
        num_assigning_crops: int = 2,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.projector = LinearProjector(in_channels, hidden_channels, embedding_channels)
        self.prototypes = nn.Linear(embedding_channels, num_prototypes, bias=False)
        self.epsilon = epsilon
        self.sinkhorn_iterations = sinkhorn_iterations
        self.temperature = temperature
        self.queue_length = queue_length
        self.queue_start_epoch = queue_start_epoch
        self.frozen_prototype_iters = frozen_prototype_iters
        self.num_assigning_crops = num_assigning_crops
        self.queue_active = False
        self.prototypes_frozen = False
        self._has_progress = False
        self._filled_rows = 0
        # Every rank holds the queue of all ranks, newest first, so its checkpoint is complete.
        self.register_buffer(
            "queue", torch.zeros(num_assigning_crops, queue_length, embedding_channels)
        )

    @property
    def num_prototypes(self) -> int:
        """Return the number K of prototypes; ln K is the loss of collapsed embeddings."""
        return self.prototypes.out_features

    def channels(self, deepest: int) -> dict[int, int]:
        """Return the channels of the last stage."""
        return {deepest: self.in_channels}

    def set_progress(self, epoch: int, update: int) -> None:
        """Activate the queue and freeze the prototypes by the schedule.

        Args:
            epoch: zero-based.
            update: zero-based number of the weight update, over all epochs.
        """
        self._has_progress = True
        self.queue_active = self.queue_length > 0 and epoch >= self.queue_start_epoch
        self.prototypes_frozen = update < self.frozen_prototype_iters

    def drop_frozen_gradients(self) -> None:
        """Drop the prototypes' gradient while they are frozen; call before the optimizer step."""
        if self.prototypes_frozen:
            self.prototypes.weight.grad = None

    @torch.no_grad()
    def normalize_prototypes(self) -> None:
        """Normalise the prototypes' rows to unit length."""
        self.prototypes.weight.copy_(F.normalize(self.prototypes.weight, dim=1))

    def embed(self, pooled: Tensor) -> Tensor:
        """Project pooled features (M, L) to unit embeddings (M, D)."""
        return F.normalize(at_least_float32(self.projector(pooled)), dim=1)

    def forward(self, views: ViewFeatures) -> dict[str, Tensor]:
        """Compute the loss; store codes and prototypes in ``views.assignment``.

        Returns:
            ``{"": scalar}``, the swapped prediction loss.
        """
        return {"": self.loss(self.embed_checked(views.pooled(), views.batch_size), views)}

    def embed_checked(self, pooled: Tensor, batch_size: int) -> Tensor:
        """Check the schedule and the queue length, normalise the prototypes, then :meth:`embed`.

        Raises:
            LussError: if the queue is shorter than the global batch, or ``set_progress`` was not
                called although queue or frozen prototypes are configured.
        """
        scheduled = self.queue_length > 0 or self.frozen_prototype_iters > 0
        if self.training and scheduled and not self._has_progress:
            raise LussError(
                f"the clustering objective has queue_length={self.queue_length} and "
                f"frozen_prototype_iters={self.frozen_prototype_iters}, which need the progress of "
                "training; add dict(type='ClusteringHook') to custom_hooks"
            )
        global_batch = batch_size * get_world_size()
        if 0 < self.queue_length < global_batch:
            raise LussError(
                f"the clustering queue holds {self.queue_length} embeddings, but one batch over "
                f"all ranks has {global_batch}; set queue_length to 0 or to at least "
                f"{global_batch}"
            )
        if self.training:
            self.normalize_prototypes()
        return self.embed(pooled)

    def loss(self, embeddings: Tensor, views: ViewFeatures) -> Tensor:
        """Compute the swapped prediction loss of view-major unit embeddings (V N, D).

        Raises:
            LussError: if there are fewer views than assigning crops, or only one view.
        """
        num_views = len(embeddings) // views.batch_size
        if num_views < max(2, self.num_assigning_crops):
            raise LussError(
                f"the clustering objective found {num_views} view(s) of each photo, expected at "
                f"least {max(2, self.num_assigning_crops)}; add views to MultiCrop or lower "
                "num_assigning_crops"
            )
        scores = prototype_scores(embeddings, self.prototypes.weight)
        scores = scores.unflatten(0, (-1, views.batch_size))
        codes = self.codes(embeddings.detach().unflatten(0, (-1, views.batch_size)))
        views.assignment = Assignment(
            codes, self.prototypes.weight.detach(), self.epsilon, self.sinkhorn_iterations
        )
        return swapped_prediction_loss(scores, codes, self.temperature)

    @torch.no_grad()
    def codes(self, embeddings: Tensor) -> Tensor:
        """Compute codes of the assigning crops; push their embeddings into the queue.

        Scores are float32 under mixed precision; in the released code, half precision.

        Args:
            embeddings: (V, N, D) float, unit vectors of this rank's batch.

        Returns:
            (A, N, K) float32.
        """
        batch_size = embeddings.shape[1]
        queued = self._queue_share(batch_size)
        weight = self.prototypes.weight
        codes = []
        for crop in range(self.num_assigning_crops):
            rows = embeddings[crop].float()
            if queued is not None:
                rows = torch.cat([queued[crop], rows])
            scores = prototype_scores(rows, weight)
            codes.append(sinkhorn(scores, self.epsilon, self.sinkhorn_iterations)[-batch_size:])
        if self.queue_active:
            self._push(embeddings[: self.num_assigning_crops].float())
        return torch.stack(codes)

    def _usable_length(self, batch_size: int) -> int:
        global_batch = batch_size * get_world_size()
        return self.queue_length // global_batch * global_batch

    def _queue_share(self, batch_size: int) -> Tensor | None:
        """Return this rank's share of a full queue (A, rows, D); None if it is not full."""
        length = self._usable_length(batch_size)
        if not self.queue_active or self._filled_rows < length:
            return None
        return self.queue[:, :length].chunk(get_world_size(), dim=1)[get_rank()]

    def _push(self, embeddings: Tensor) -> None:
        newest = torch.cat(all_gather(embeddings.contiguous()), dim=1)
        length = self._usable_length(embeddings.shape[1])
        kept = self.queue[:, : length - newest.shape[1]].clone()
        self.queue[:, newest.shape[1] : length] = kept
        self.queue[:, : newest.shape[1]] = newest
        self._filled_rows = min(self._filled_rows + newest.shape[1], length)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        # Count once here: counting in each step would synchronise with the device. Rows are filled
        # from the front, so the last non-zero row gives the number of rows.
        filled = self.queue.ne(0).any(dim=2).any(dim=0).nonzero()
        self._filled_rows = int(filled.max()) + 1 if len(filled) else 0
