"""Stored features of photos in colours: their first three principal components."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from luss.label_generation.principal_components import principal_components
from luss.models.segmentors.standardised_head import join_maps

__all__ = ["FeatureColours"]

_SHOWN = (1.0, 99.0)
"""Percentiles of a component that get the lowest and the highest brightness of its colour."""


class FeatureColours:
    """Function from the feature maps of a photo to a picture.

    Maps are joined at the resolution of the finest one, each of unit length per cell. Red, green
    and blue are the first, second and third principal component over the cells of all given photos,
    from their first to their 99th percentile.

    Args:
        photos: for each photo its M maps (h, w, L), floating point.
    """

    def __init__(self, photos: Sequence[Sequence[NDArray[np.floating]]]) -> None:
        length = sum(values.shape[2] for values in photos[0])
        parts = (torch.from_numpy(_joined(maps).reshape(-1, length)) for maps in photos)
        mean, components = principal_components(parts, min(3, length))
        self.mean = mean.numpy()
        # Fewer than three channels leave the other colours dark.
        self.components = np.zeros((3, length))
        self.components[: len(components)] = components.numpy()
        cells = np.concatenate([self._project(maps).reshape(-1, 3) for maps in photos])
        self.low, self.high = np.percentile(cells, _SHOWN, axis=0)

    def picture(
        self, maps: Sequence[NDArray[np.floating]], size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """Return a picture (H, W, 3) uint8 RGB of a photo's maps (h, w, L), enlarged bilinearly."""
        values = (self._project(maps) - self.low) / np.maximum(self.high - self.low, 1e-12)
        cells = torch.from_numpy(values).permute(2, 0, 1)[None]
        enlarged = F.interpolate(cells, size=size, mode="bilinear")[0].permute(1, 2, 0)
        return (enlarged.clamp(0, 1) * 255).round().byte().numpy()

    def _project(self, maps: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
        return (_joined(maps) - self.mean) @ self.components.T


def _joined(maps: Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
    """Return the joined maps of a photo, (h, w, sum of L) of the finest map."""
    return join_maps([_as_batch(values) for values in maps])[0].permute(1, 2, 0).numpy()


def _as_batch(values: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.array(values.transpose(2, 0, 1), np.float32))[None]
