"""L_D2S, deep-to-shallow supervision (section 4.2, equation 4)."""

from collections.abc import Mapping
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from luss.errors import LussError
from luss.models.heads.projector import LinearProjector, PixelProjector
from luss.models.objectives.clustering import (
    codes_like,
    prototype_scores,
    soft_cross_entropy,
)
from luss.models.objectives.objective import Objective
from luss.registry import MODELS
from luss.structures import ViewFeatures, at_least_float32

__all__ = ["D2S", "d2s_loss"]

_DEEPEST = 4
"""The paper's last stage, which is pooled without M_K (equation 3)."""


def d2s_loss(
    shallow_scores: Tensor, deep_codes: Tensor, temperature: float, same_view: bool = False
) -> Tensor:
    """Compute the loss of each large crop's deep codes against the other crop's shallow scores.

    Args:
        shallow_scores: (2, N, K) float, scores of a shallow stage.
        deep_codes: (2, N, K) float, codes of the last stage.
        temperature: divides the scores.
        same_view: compare each crop's codes with its own scores instead (table 8d).

    Returns:
        Scalar: mean of both directions.
    """
    supervised = shallow_scores if same_view else shallow_scores.flip(0)
    return soft_cross_entropy(supervised, deep_codes, temperature).mean()


class ShallowEmbedding(nn.Module):
    """Embedding of a shallow stage: M_K, global average pooling, its own M_I, unit length.

    Args:
        in_channels: channels of the stage.
        hidden_channels: width of both projectors.
        embedding_channels: D.
        project_pixels: whether to use an M_K.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        embedding_channels: int,
        project_pixels: bool = True,
    ) -> None:
        super().__init__()
        self.pixel_projector: nn.Module = nn.Identity()
        if project_pixels:
            self.pixel_projector = PixelProjector(in_channels, hidden_channels, in_channels)
        self.projector = LinearProjector(in_channels, hidden_channels, embedding_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Embed features (M, C, H, W) float; return unit vectors (M, D)."""
        pooled = self.pixel_projector(features).mean(dim=(2, 3))
        return F.normalize(at_least_float32(self.projector(pooled)), dim=1)


@MODELS.register_module()
class D2S(Objective):
    """Deep-to-shallow supervision of any stages; must come after the clustering objective.

    Args:
        in_channels: channels of each supervised stage, ``{3: 256}`` for D2S3 on ResNet-18. A
            pretrainer's config may set ``stages=(3,)`` instead. Stage 4 has no M_K (equation 3),
            but its own M_I.
        hidden_channels: width of the projectors.
        embedding_channels: D, as in the clustering objective.
        temperature: of the softmax over prototypes.
        codes_from: stage whose codes supervise: ``'deepest'``, or ``'same'`` for the supervised
            stage itself (table 8c), over the same prototypes.
        same_view: codes supervise their own crop instead of the other one (table 8d).
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
        codes_from: Literal["deepest", "same"] = "deepest",
        same_view: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(in_channels, Mapping):
            raise LussError(
                f"D2S: in_channels is {in_channels!r}, expected a dict of stages; set stages=(3,)"
            )
        if codes_from not in ("deepest", "same"):
            raise LussError(f"D2S: codes_from is {codes_from!r}, expected 'deepest' or 'same'")
        self.in_channels = dict(in_channels)
        self.temperature = temperature
        self.codes_from = codes_from
        self.same_view = same_view
        # ModuleDict only accepts strings as keys.
        self.embeddings = nn.ModuleDict(
            {
                str(stage): ShallowEmbedding(
                    channels, hidden_channels, embedding_channels, project_pixels=stage < _DEEPEST
                )
                for stage, channels in in_channels.items()
            }
        )

    @property
    def stages(self) -> tuple[int, ...]:
        """Return the supervised stages."""
        return tuple(self.in_channels)

    def channels(self, deepest: int) -> dict[int, int]:
        """Return the channels of the supervised stages."""
        return self.in_channels

    def forward(self, views: ViewFeatures) -> dict[str, Tensor]:
        """Compute the loss of each supervised stage, ``{"stage3": scalar}``.

        Raises:
            LussError: if no clustering objective ran before, or its embeddings have another width.
        """
        assignment = views.require_assignment("D2S")
        width = assignment.prototypes.shape[1]
        losses = {}
        for stage, embedding in self.embeddings.items():
            embeddings = embedding(views.large(int(stage)))
            if embeddings.shape[1] != width:
                raise LussError(
                    f"D2S: embeddings of stage {stage} have {embeddings.shape[1]} channels, the "
                    f"clustering objective's prototypes {width}; set embedding_channels to the "
                    "same value in both"
                )
            scores = prototype_scores(embeddings, assignment.prototypes)
            scores = scores.unflatten(0, (2, views.batch_size))
            codes = assignment.codes
            if self.codes_from == "same":
                codes = codes_like(scores, assignment)
            losses[f"stage{stage}"] = d2s_loss(scores, codes, self.temperature, self.same_view)
        return losses
