"""From images to the vectors that are clustered (PASS, section 4.3, step 2.2)."""

from typing import ClassVar

from mmengine.model import BaseModel
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.feature_maps import deepest_map
from luss.label_generation.pooling import pooled_over, whole_where_empty
from luss.registry import EMBEDDERS

__all__ = ["ForegroundEmbeddings", "ImageEmbeddings", "PixelEmbeddings", "PooledFeatures"]


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

        Raises:
            LussError: if the model has none.
        """
        return _embed_by_model(model, images)


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

        Raises:
            LussError: if the model has no embeddings of its own, and they are needed.
        """
        foreground = whole_where_empty(foreground)
        if self.attention:
            return _embed_by_model(model, images, foreground)
        return pooled_over(deepest_map(model, images), foreground)


@EMBEDDERS.register_module()
class PooledFeatures:
    """The mean of the features over the image, without attention (table 10a, image level)."""

    def embed(self, model: BaseModel, images: Tensor) -> Tensor:
        """(N, L), see :class:`ImageEmbeddings`."""
        return deepest_map(model, images).mean(dim=(2, 3))


@EMBEDDERS.register_module()
class PixelEmbeddings:
    """The features of every pixel of the map, each of which is clustered (table 10a, pixel level).

    Images must be of one size. The file of embeddings has h * w times the rows of image embeddings:
    6.4 GB for ImageNet-S50 and ResNet-18 at 224 pixels.
    """

    def embed(self, model: BaseModel, images: Tensor) -> Tensor:
        """(N, h * w, L) floating point, pixels in reading order, see :class:`ImageEmbeddings`."""
        return deepest_map(model, images).flatten(2).transpose(1, 2)


def _embed_by_model(model: BaseModel, *inputs: Tensor) -> Tensor:
    if not hasattr(model, "embed_images"):
        raise LussError(
            f"{type(model).__name__} has no embeddings of its own (embed_images), as the model of "
            "pixel attention has; set embedding.type='PooledFeatures', or "
            "type='ForegroundEmbeddings' with attention=False"
        )
    return model.embed_images(*inputs)
