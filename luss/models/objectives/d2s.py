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
    single,
    soft_cross_entropy,
)
from luss.models.objectives.objective import Objective
from luss.registry import MODELS
from luss.structures import ViewFeatures

__all__ = ["D2S", "d2s_loss"]

_DEEPEST = 4
"""The paper's last stage, which is pooled without M_K (equation 3)."""


def d2s_loss(
    shallow_scores: Tensor, deep_codes: Tensor, temperature: float, same_view: bool = False
) -> Tensor:
    """Deep codes of each large crop supervise the other crop's shallow scores.

    Args:
        shallow_scores: (2, N, K) float, scores of a shallow stage.
        deep_codes: (2, N, K) float, codes of the deepest stage.
        temperature: divides the scores.
        same_view: each crop's codes supervise its own scores instead (table 8d).

    Returns:
        Scalar: mean of both directions.
    """
    supervised = shallow_scores if same_view else shallow_scores.flip(0)
    return soft_cross_entropy(supervised, deep_codes, temperature).mean()


class ShallowEmbedding(nn.Module):
    """Embeds a shallow stage's features: M_K, global average pool, an M_I of its own, unit length.

    Args:
        in_channels: channels of the stage.
        hidden_channels: width of both projectors.
        embedding_channels: D.
        project_pixels: whether there is an M_K.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        embedding_channels: int,
        project_pixels: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.pixel_projector: nn.Module = nn.Identity()
        if project_pixels:
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
            pretrainer's config may name ``stages=(3,)`` instead. Stage 4 has no M_K (equation 3),
            but an M_I of its own.
        hidden_channels: width of the projectors.
        embedding_channels: D, as the clustering objective has it.
        temperature: of the softmax over prototypes.
        codes_from: whose codes supervise a stage: those of the ``'deepest'`` stage, or of the
            ``'same'`` stage of the other crop (table 8c), over the same prototypes.
        same_view: codes supervise the crop they come from instead of the other (table 8d).
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
            raise LussError("D2S supervises shallow stages, but none is named; give stages=(3,)")
        if codes_from not in ("deepest", "same"):
            raise LussError(f"D2S: codes_from is {codes_from!r}, expected 'deepest' or 'same'")
        self.temperature = temperature
        self.codes_from = codes_from
        self.same_view = same_view
        # Module names are strings; the stage is read back from them.
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
        """The supervised stages."""
        return tuple(int(stage) for stage in self.embeddings)

    def channels(self, deepest: int) -> dict[int, int]:
        """It reads the supervised stages."""
        return {int(stage): embedding.in_channels for stage, embedding in self.embeddings.items()}

    def forward(self, views: ViewFeatures) -> dict[str, Tensor]:
        """Loss of each supervised stage, ``{"stage3": scalar}``.

        Raises:
            LussError: if no clustering objective came before, or one of another width.
        """
        assignment = views.lent_assignment("D2S")
        width = assignment.prototypes.shape[1]
        losses = {}
        for stage, embedding in self.embeddings.items():
            embeddings = embedding(views.large(int(stage)))
            if embeddings.shape[1] != width:
                raise LussError(
                    f"D2S: embeddings of stage {stage} have {embeddings.shape[1]} channels, the "
                    f"clustering objective's prototypes {width}; give both one embedding_channels"
                )
            scores = prototype_scores(embeddings, assignment.prototypes)
            scores = scores.unflatten(0, (2, views.batch_size))
            codes = assignment.codes
            if self.codes_from == "same":
                codes = codes_like(scores, assignment)
            losses[f"stage{stage}"] = d2s_loss(scores, codes, self.temperature, self.same_view)
        return losses
