"""L_P2P, non-contrastive pixel-to-pixel alignment (section 4.2, equation 2)."""

import torch.nn.functional as F
from torch import Tensor, nn

from luss.models.heads.projector import init_convolutions
from luss.models.objectives.pixel_alignment import PixelAlignment
from luss.registry import MODELS
from luss.structures import ViewFeatures

__all__ = ["P2P", "p2p_loss"]


def p2p_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """Compute the negative symmetric cosine similarity of aligned pixels.

    Args:
        predictions: (2, N, D, S, S) float, predictor outputs of both views.
        targets: (2, N, D, S, S) float, embeddings of both views; they are detached.

    Returns:
        Scalar in [-1, 1]; zero vectors have similarity 0.
    """
    predictions, targets = predictions.float(), targets.detach().float()
    return -F.cosine_similarity(predictions, targets.flip(0), dim=2).mean()


@MODELS.register_module()
class P2P(PixelAlignment):
    """Pixel-to-pixel alignment of the two large crops.

    The projected feature maps are sampled on one grid over the overlap of both crops, so that equal
    grid points show equal places of the photo. A predictor maps one to the other.

    Args:
        in_channels: channels L of the deepest feature map.
        hidden_channels: width of projector M_p.
        **kwargs: see :class:`luss.models.objectives.pixel_alignment.PixelAlignment`.
    """

    def __init__(self, in_channels: int, hidden_channels: int, **kwargs) -> None:
        super().__init__(in_channels, hidden_channels, **kwargs)
        self.predictor = nn.Sequential(
            nn.Conv2d(self.width, self.width, 1, bias=False),
            nn.BatchNorm2d(self.width),
            nn.ReLU(inplace=True),
            nn.Conv2d(self.width, self.width, 1),
        )
        init_convolutions(self.predictor)

    def forward(self, views: ViewFeatures) -> dict[str, Tensor]:
        """Compute the loss of the two large crops, ``{"": scalar}``."""
        grid, _ = self.grids(views)
        embeddings, predictions = self.align(views.large(views.deepest), grid)
        shape = (2, views.batch_size)
        return {"": p2p_loss(predictions.unflatten(0, shape), embeddings.unflatten(0, shape))}

    def align(self, features: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Compute pixel embeddings on a grid and the predictor's output for them.

        Args:
            features: (M, L, H, W) float.
            grid: (M, S, S, 2) float, x and y in [-1, 1]; points outside are sampled as zero.

        Returns:
            Embeddings and predictions, both (M, D, S, S) float.
        """
        embeddings = self.embed(features, grid)
        return embeddings, self.predictor(embeddings)
