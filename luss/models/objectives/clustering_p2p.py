"""Pixel-to-pixel alignment by the clustering loss, an ablation of L_P2P (table 8a)."""

import torch.nn.functional as F
from torch import Tensor

from luss.errors import LussError
from luss.models.objectives.clustering import (
    codes_like,
    prototype_scores,
    soft_cross_entropy,
)
from luss.models.objectives.pixel_alignment import PixelAlignment, mean_of_overlapping
from luss.registry import MODELS
from luss.structures import ViewFeatures, at_least_float32

__all__ = ["ClusteringP2P", "clustering_p2p_loss"]


def clustering_p2p_loss(
    scores: Tensor, codes: Tensor, overlaps: Tensor, temperature: float
) -> Tensor:
    """Compute the loss of predicting each pixel's code from its counterpart in the other view.

    Args:
        scores: (2, N, P, K) float, of the P pixels of both views.
        codes: (2, N, P, K) float, their codes; rows sum to one.
        overlaps: (N,) bool, whether the views of a photo overlap; other photos are ignored.
        temperature: divides the scores.

    Returns:
        Scalar: mean over both directions, pixels and photos.
    """
    losses = soft_cross_entropy(scores.flip(0), codes, temperature)
    return mean_of_overlapping(losses.mean(dim=0), overlaps)


@MODELS.register_module()
class ClusteringP2P(PixelAlignment):
    """Swapped prediction of pixels; must come after the clustering objective.

    It uses the prototypes of the clustering objective without training them, as D2S does. Codes are
    balanced over the pixels of a batch, separately for each view, as the codes of images are.

    Args:
        in_channels: channels L of the deepest feature map.
        hidden_channels: width of projector M_p.
        temperature: of the softmax over prototypes.
        **kwargs: see :class:`luss.models.objectives.pixel_alignment.PixelAlignment`.
    """

    needs_codes = True

    def __init__(
        self, in_channels: int, hidden_channels: int, *, temperature: float = 0.1, **kwargs
    ) -> None:
        super().__init__(in_channels, hidden_channels, **kwargs)
        self.temperature = temperature

    def forward(self, views: ViewFeatures) -> dict[str, Tensor]:
        """Compute the loss of the two large crops, ``{"": scalar}``.

        Raises:
            LussError: if no clustering objective ran before, or its embeddings have another width.
        """
        assignment = views.require_assignment("ClusteringP2P")
        width = assignment.prototypes.shape[1]
        if self.width != width:
            raise LussError(
                f"ClusteringP2P: pixel embeddings have {self.width} channels, the clustering "
                f"objective's prototypes {width}; set embedding_channels to the same value in both"
            )
        grid, overlaps = self.grids(views)
        maps = at_least_float32(self.embed(views.large(views.deepest), grid))
        pixels = F.normalize(maps.flatten(2).transpose(1, 2), dim=2)  # (2 N, P, D)
        # Without overlap all points have the same embedding; a zero vector prefers no prototype.
        pixels = pixels * overlaps.repeat(2)[:, None, None]
        scores = prototype_scores(pixels.flatten(0, 1), assignment.prototypes)
        codes = codes_like(scores.unflatten(0, (2, -1)), assignment)
        shape = (2, views.batch_size, -1)
        scores, codes = scores.unflatten(0, shape), codes.flatten(0, 1).unflatten(0, shape)
        return {"": clustering_p2p_loss(scores, codes, overlaps, self.temperature)}
