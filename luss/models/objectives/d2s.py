"""L_D2S, deep-to-shallow supervision (section 4.2, equation 4)."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from luss.errors import LussError
from luss.models.heads.projector import LinearProjector, PixelProjector
from luss.models.objectives.clustering import prototype_scores, single, soft_cross_entropy
from luss.models.objectives.objective import Objective
from luss.registry import MODELS
from luss.structures import ViewFeatures

__all__ = ["D2S", "d2s_loss"]


def d2s_loss(shallow_scores: Tensor, deep_codes: Tensor, temperature: float) -> Tensor:
    """Deep codes of each large crop supervise the other crop's shallow scores.

    Args:
        shallow_scores: (2, N, K) float, scores of a shallow stage.
        deep_codes: (2, N, K) float, codes of the deepest stage.
        temperature: divides the scores.

    Returns:
        Scalar: mean of both directions.
    """
    return soft_cross_entropy(shallow_scores.flip(0), deep_codes, temperature).mean()


class ShallowEmbedding(nn.Module):
    """Embeds a shallow stage's features: M_K, global average pool, an M_I of its own, unit length.

    Args:
        in_channels: channels of the stage.
        hidden_channels: width of both projectors.
        embedding_channels: D.
    """

    def __init__(self, in_channels: int, hidden_channels: int, embedding_channels: int) -> None:
        super().__init__()
        self.pixel_projector = PixelProjector(in_channels, hidden_channels, in_channels)
        self.projector = LinearProjector(in_channels, hidden_channels, embedding_channels)

    def forward(self, features: Tensor) -> Tensor:
        """(M, C, H, W) float -> unit vectors (M, D)."""
        pooled = self.pixel_projector(features).mean(dim=(2, 3))
        return F.normalize(single(self.projector(pooled)), dim=1)


@MODELS.register_module()
class D2S(Objective):
    """Deep-to-shallow supervision of any set of stages; comes after the clustering objective.

    Args:
        in_channels: channels of each supervised stage, ``{3: 256}`` for D2S3 on ResNet-18. A
            pretrainer's config may name ``stages=(3,)`` instead.
        hidden_channels: width of the projectors.
        embedding_channels: D, as the clustering objective has it.
        temperature: of the softmax over prototypes.
        init_cfg: see :class:`mmengine.model.BaseModule`.
    """

    num_views = 2
    needs_codes = True

    def __init__(
        self,
        in_channels: dict[int, int],
        hidden_channels: int,
        embedding_channels: int = 128,
        temperature: float = 0.1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(in_channels, Mapping):
            raise LussError("D2S supervises shallow stages, but none is named; give stages=(3,)")
        self.temperature = temperature
        # Module names are strings; the stage is read back from them.
        self.embeddings = nn.ModuleDict(
            {
                str(stage): ShallowEmbedding(channels, hidden_channels, embedding_channels)
                for stage, channels in in_channels.items()
            }
        )

    @property
    def stages(self) -> tuple[int, ...]:
        """The supervised stages."""
        return tuple(int(stage) for stage in self.embeddings)

    def channels(self, deepest: int) -> dict[int, int]:
        """It reads the supervised stages."""
        return {
            int(stage): embedding.pixel_projector[0].in_channels
            for stage, embedding in self.embeddings.items()
        }

    def forward(self, views: ViewFeatures) -> dict[str, Tensor]:
        """Loss of each supervised stage, ``{"stage3": scalar}``.

        Raises:
            LussError: if no clustering objective came before, or one of another width.
        """
        if views.assignment is None:
            raise LussError(
                "D2S found no codes and prototypes, which the clustering objective lends to it; "
                "list a Clustering objective before it in the pretrainer's objectives"
            )
        width = views.assignment.prototypes.shape[1]
        losses = {}
        for stage, embedding in self.embeddings.items():
            embeddings = embedding(views.large(int(stage)))
            if embeddings.shape[1] != width:
                raise LussError(
                    f"D2S: embeddings of stage {stage} have {embeddings.shape[1]} channels, the "
                    f"clustering objective's prototypes {width}; give both one embedding_channels"
                )
            scores = prototype_scores(embeddings, views.assignment.prototypes)
            scores = scores.unflatten(0, (2, views.batch_size))
            losses[f"stage{stage}"] = d2s_loss(scores, views.assignment.codes, self.temperature)
        return losses
