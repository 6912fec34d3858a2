"""Contrastive pixel-to-pixel alignment, an ablation of L_P2P (table 8a)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from luss.models.objectives.pixel_alignment import PixelAlignment, mean_of_overlapping
from luss.registry import MODELS
from luss.structures import ViewFeatures

__all__ = ["ContrastiveP2P", "contrastive_p2p_loss"]


def contrastive_p2p_loss(embeddings: Tensor, overlaps: Tensor, temperature: float) -> Tensor:
    """Compute the InfoNCE loss of each pixel's counterpart among the pixels of the other view.

    Args:
        embeddings: (2, N, D, S, S) float, of both views on one grid.
        overlaps: (N,) bool, whether the views of a photo overlap; other photos are ignored.
        temperature: divides the cosines.

    Returns:
        Scalar, float32: mean over both directions, the grid's points and the photos.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        first, second = F.normalize(embeddings.float().flatten(3), dim=2)  # (N, D, S * S)
        scores = first.transpose(1, 2) @ second / temperature
    found = F.log_softmax(scores, dim=2) + F.log_softmax(scores, dim=1)
    losses = -found.diagonal(dim1=1, dim2=2).mean(dim=1) / 2
    return mean_of_overlapping(losses, overlaps)


@MODELS.register_module()
class ContrastiveP2P(PixelAlignment):
    """Contrastive alignment: pixels at the same position are positive pairs, others negative.

    "We set pixels at the same position of two views as positive pairs and other pixels as negative
    pixels" (section 5.3.1). Here the other pixels are those of the grid. The paper states no
    temperature.

    Args:
        in_channels: channels L of the deepest feature map.
        hidden_channels: width of projector M_p.
        temperature: divides the cosines.
        **kwargs: see :class:`luss.models.objectives.pixel_alignment.PixelAlignment`.
    """

    def __init__(
        self, in_channels: int, hidden_channels: int, *, temperature: float = 0.2, **kwargs
    ) -> None:
        super().__init__(in_channels, hidden_channels, **kwargs)
        self.temperature = temperature

    def forward(self, views: ViewFeatures) -> dict[str, Tensor]:
        """Compute the loss of the two large crops, ``{"": scalar}``."""
        grid, overlaps = self.grids(views)
        embeddings = self.embed(views.large(views.deepest), grid)
        embeddings = embeddings.unflatten(0, (2, views.batch_size))
        return {"": contrastive_p2p_loss(embeddings, overlaps, self.temperature)}
