"""From images to the vectors that are clustered (PASS, section 4.3, step 2.2)."""

from typing import ClassVar

import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from luss.registry import EMBEDDERS

__all__ = ["ForegroundEmbeddings", "ImageEmbeddings"]

_SMALLEST = 1e-6


@EMBEDDERS.register_module()
class ImageEmbeddings:
    """The model's own embeddings: of pixel attention, the mean of c(z) * z."""

    reads_maps: ClassVar[bool] = False
    """Whether ``embed`` is given maps of foreground, too."""

    def embed(self, model: BaseModel, images: Tensor) -> Tensor:
        """Embed images of one size.

        Args:
            model: that was trained, in evaluation mode.
            images: (N, 3, H, W), normalised, on the model's device.

        Returns:
            (N, L) floating point, not normalised.
        """
        return model.embed_images(images)


@EMBEDDERS.register_module()
class ForegroundEmbeddings:
    """Features pooled over the foreground, so that k-means sees the object and not the scene.

    Args:
        attention: whether pixels are weighted by c(z) as well, as in the model's own embeddings.
    """

    reads_maps: ClassVar[bool] = True

    def __init__(self, attention: bool = True) -> None:
        self.attention = attention

    def embed(self, model: BaseModel, images: Tensor, foreground: Tensor) -> Tensor:
        """Embed images of one size.

        Args:
            model: that was trained, in evaluation mode.
            images: (N, 3, H, W), normalised, on the model's device.
            foreground: (N, 1, H, W) in [0, 1].

        Returns:
            (N, L) floating point, not normalised. An image without foreground is pooled whole.
        """
        empty = foreground.mean(dim=(1, 2, 3), keepdim=True) < _SMALLEST
        foreground = foreground.masked_fill(empty, 1)
        if self.attention:
            return model.embed_images(images, foreground)
        features = model.extract(images)
        weights = F.interpolate(foreground, features.shape[2:], mode="area")
        return (features * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))
