"""Image embeddings for clustering (PASS, section 4.3, step 2.2)."""

from typing import ClassVar

from mmengine.model import BaseModel
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.feature_maps import deepest_map, fill_empty_maps, pool_over
from luss.registry import EMBEDDERS

__all__ = ["ForegroundEmbeddings", "ImageEmbeddings", "PixelEmbeddings", "PooledFeatures"]


@EMBEDDERS.register_module()
class ImageEmbeddings:
    """The model's own embeddings: for pixel attention, the mean of c(z) * z."""

    reads_maps: ClassVar[bool] = False
    """Whether ``embed`` also takes foreground maps."""

    def embed(self, model: BaseModel, images: Tensor) -> Tensor:
        """Embed images of one size.

        Args:
            model: trained model in evaluation mode.
            images: (N, 3, H, W), normalised, on the model's device.

        Returns:
            (N, L) floating point, not normalised.

        Raises:
            LussError: if the model has no embeddings.
        """
        return _embed_by_model(model, images)


@EMBEDDERS.register_module()
class ForegroundEmbeddings:
    """Features pooled over the foreground, so that k-means clusters objects and not scenes.

    Args:
        attention: whether to weight pixels also by c(z), as in the model's own embeddings.
    """

    reads_maps: ClassVar[bool] = True

    def __init__(self, attention: bool = True) -> None:
        self.attention = attention

    def embed(self, model: BaseModel, images: Tensor, foreground: Tensor) -> Tensor:
        """Embed images of one size.

        Args:
            model: trained model in evaluation mode.
            images: (N, 3, H, W), normalised, on the model's device.
            foreground: (N, 1, H, W) in [0, 1].

        Returns:
            (N, L) floating point, not normalised. Images without foreground are pooled completely.

        Raises:
            LussError: if the model's own embeddings are needed but it has none.
        """
        foreground = fill_empty_maps(foreground)
        if self.attention:
            return _embed_by_model(model, images, foreground)
        return pool_over(deepest_map(model, images), foreground)


@EMBEDDERS.register_module()
class PooledFeatures:
    """The mean of the features over the image, without attention (table 10a, image level)."""

    def embed(self, model: BaseModel, images: Tensor) -> Tensor:
        """Return (N, L), see :class:`ImageEmbeddings`."""
        return deepest_map(model, images).mean(dim=(2, 3))


@EMBEDDERS.register_module()
class PixelEmbeddings:
    """The features of every pixel of the map, clustered individually (table 10a, pixel level).

    Images must have one size. The file of embeddings has h * w times the rows of image embeddings:
    6.4 GB for ImageNet-S50 and ResNet-18 at 224 pixels.
    """

    def embed(self, model: BaseModel, images: Tensor) -> Tensor:
        """Return (N, h * w, L), pixels in reading order, see :class:`ImageEmbeddings`."""
        return deepest_map(model, images).flatten(2).transpose(1, 2)


def _embed_by_model(model: BaseModel, *inputs: Tensor) -> Tensor:
    if not hasattr(model, "embed_images"):
        raise LussError(
            f"{type(model).__name__} has no method embed_images, which the pixel-attention model "
            "has; set test_cfg.embedder.type='PooledFeatures', or 'ForegroundEmbeddings' with "
            "attention=False"
        )
    return model.embed_images(*inputs)
