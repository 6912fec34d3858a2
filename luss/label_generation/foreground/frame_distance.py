"""Objects differ in their features from the photo's frame.

The counterpart of the boundary prior for features that separate objects, such as those of a
pretrained backbone.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.foreground.colours import has_one_colour, to_lab
from luss.label_generation.foreground.normalising import range_to_one
from luss.label_generation.foreground.photo import LazyPhoto, resize_map
from luss.label_generation.foreground.source import ForegroundSource
from luss.registry import FOREGROUND_SOURCES

__all__ = ["FrameDistance", "frame_distance"]


def frame_distance(features: Tensor, frame: float = 0.06) -> Tensor:
    """Compute 1 minus the cosine of each cell's features to the mean feature of the frame.

    The mean is that of features of unit length. All operations exist in ONNX, for maps of any size.

    Args:
        features: (..., L, h, w) floating point.
        frame: thickness of the frame as a fraction of the short side; at least one cell.

    Returns:
        (..., h, w) float32 in [0, 2]; 1 for features that are zero.
    """
    directions = F.normalize(features.float(), dim=-3)
    cells = _frame_cells(features.shape[-2], features.shape[-1], frame).to(directions)
    mean = F.normalize((directions * cells).sum(dim=(-2, -1), keepdim=True), dim=-3)
    return (1 - (mean * directions).sum(dim=-3)).clamp(0, 2)


def _frame_cells(height: int | Tensor, width: int | Tensor, part: float) -> Tensor:
    """Return a mask (h, w) of the cells near the edge, as ``colours.frame_of``."""
    rows, columns = torch.as_tensor(height), torch.as_tensor(width)
    thickness = (part * torch.minimum(rows, columns).double()).round().clamp(min=1)
    down, across = (_to_edge(side) < thickness for side in (rows, columns))
    return down[:, None] | across[None]


def _to_edge(length: Tensor) -> Tensor:
    """Return the distance of each cell of a row to the nearer end, (length,) int64."""
    places = torch.arange(length)  # type: ignore[call-overload]  # a tensor keeps the size dynamic
    return torch.minimum(places, length - 1 - places)


@FOREGROUND_SOURCES.register_module()
class FrameDistance(ForegroundSource):
    """The distance of the backbone's features to the mean feature of the photo's frame.

    The distances of several feature maps are averaged, at the size of the photo.

    Args:
        maps: positions of feature maps among the backbone's outputs, from shallow to deep, such as
            (-2, -1); by default the last two, or the only one. The last two stages of a
            convolutional network together are better than either, see ``benchmarks/RESULTS.md``.
        frame: thickness of the frame as a fraction of the short side.

    Raises:
        LussError: if a setting is out of range.
    """

    needs_model = True
    model_parts = frozenset({"backbone"})

    def __init__(self, maps: Sequence[int] | None = None, frame: float = 0.06) -> None:
        if (maps is not None and not maps) or not 0 < frame <= 0.5:
            raise LussError(
                f"FrameDistance: maps is {maps}, expected one or more positions, or None; frame "
                f"is {frame}, expected above 0 and up to 0.5"
            )
        self.maps = maps
        self.frame = frame

    def __call__(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return a map (H, W) of the photo's size, from 0 to 1; zeros for a photo of one colour.

        Raises:
            LussError: if the backbone returns too few feature maps.
        """
        size = photo.image.shape[:2]
        # Features of a photo of one colour only differ by the padding at its edges.
        if has_one_colour(to_lab(photo.image)):
            return np.zeros(size, np.float32)
        distances = [
            resize_map(frame_distance(features[0], self.frame).cpu().numpy(), size)
            for features in self._chosen(photo.feature_maps)
        ]
        return range_to_one(np.mean(distances, axis=0))

    def _chosen(self, found: list[Tensor]) -> list[Tensor]:
        if self.maps is None:
            return found[-2:]
        try:
            return [found[position] for position in self.maps]
        except IndexError:
            raise LussError(
                f"FrameDistance: maps is {tuple(self.maps)}, but the backbone returns "
                f"{len(found)} feature map(s), from 0 to {len(found) - 1}; correct maps, or let "
                "the backbone return more (out_indices)"
            ) from None
