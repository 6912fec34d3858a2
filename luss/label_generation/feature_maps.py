"""The last feature map of any trained model, and its mean over a foreground map."""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from luss.errors import LussError
from luss.models.backbones import extract_maps
from luss.structures import size_of

__all__ = ["StoredFeatures", "deepest_map", "fill_empty_maps", "pool_over"]

_SMALLEST = 1e-6
"""Mean below which a map is empty: non-empty 8-bit maps have at least one pixel in 10^6."""


class StoredFeatures:
    """Stored features of a batch, in the place of the model that computed them.

    Args:
        maps: M feature maps (N, L, h, w) of the backbone, from shallow to deep.
    """

    def __init__(self, maps: Sequence[Tensor]) -> None:
        self.maps = maps

    def extract(self, images: Tensor | None = None) -> Tensor:
        """Return the last feature map (N, L, h, w), whatever the images."""
        return self.maps[-1]


def deepest_map(model: BaseModel | StoredFeatures, images: Tensor | None) -> Tensor:
    """Compute the last feature map of any model.

    Args:
        model: its ``extract`` returns the map, or maps by stage number; without ``extract``, such
            as in an algorithm of mmselfsup, its ``backbone`` returns it.
        images: (N, 3, H, W), normalised, on the model's device; None for stored features.

    Returns:
        (N, L, h, w).

    Raises:
        LussError: if the model has neither, or its backbone returns no feature maps of complete
            images.
    """
    if hasattr(model, "extract"):
        found = model.extract(images)
        return found[max(found)] if isinstance(found, Mapping) else found
    if not hasattr(model, "backbone"):
        raise LussError(
            f"{type(model).__name__} has neither a 'backbone' nor a method 'extract' that returns "
            "the last feature map (N, L, h, w); add one of them, or set another model of the stage"
        )
    assert images is not None, "only stored features need no images"
    return extract_maps(model.backbone, images)[-1]


def fill_empty_maps(maps: Tensor) -> Tensor:
    """Set foreground maps (N, 1, H, W) without any foreground to 1 everywhere."""
    empty = maps.mean(dim=(1, 2, 3), keepdim=True) < _SMALLEST
    return maps.masked_fill(empty, 1)


def pool_over(features: Tensor, weights: Tensor) -> Tensor:
    """Compute the mean feature of photos, with pixels weighted by foreground maps.

    Args:
        features: (N, L, h, w).
        weights: (N, 1, H, W), 0 or more, of any size; averaged over each cell of the feature map.

    Returns:
        (N, L), on the scale of the features; zero if all weights are zero.
    """
    cells = F.adaptive_avg_pool2d(weights.to(features.dtype), size_of(features))
    total = cells.sum(dim=(2, 3))
    return (features * cells).sum(dim=(2, 3)) / total.clamp_min(1e-12)
