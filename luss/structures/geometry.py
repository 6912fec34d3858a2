"""Geometry that travels with a view: where a crop lies in its photo.

The crop records a source rectangle and whether it was flipped; correspondences between views (the
P2P grid of section 4.2, PixPro's pixel centres) derive from it in batches, on the device.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["OUTSIDE", "ViewGeometry", "overlap_grids"]

OUTSIDE = -2.0
"""Grid coordinate of a point that lies in neither view; it is sampled as zero."""


@dataclass
class ViewGeometry:
    """Where each of N views lies in its source photo.

    Attributes:
        rectangles: (N, 4) float, left, top, width and height in pixels of the source.
        flipped: (N,) bool, whether the view was mirrored horizontally after cropping.
    """

    rectangles: Tensor
    flipped: Tensor

    @classmethod
    def unpack(cls, packed: Tensor) -> "ViewGeometry":
        """Read (N, 5) float rows of left, top, width, height, flip, as crops record them."""
        if packed.ndim != 2 or packed.shape[1] != 5:
            raise ValueError(f"expected geometry of shape (N, 5), found {tuple(packed.shape)}")
        return cls(rectangles=packed[:, :4], flipped=packed[:, 4] != 0)


def overlap_grids(first: ViewGeometry, second: ViewGeometry, size: int) -> tuple[Tensor, Tensor]:
    """Lay one grid over the overlap of two views and express it in each view's coordinates.

    The overlap of the source rectangles is covered by ``size`` x ``size`` points whose outer
    points lie on its border. A grid sampled by ``torch.nn.functional.grid_sample`` from both
    feature maps reads the same places of the photo (section 4.2, P2P).

    Args:
        first: N views.
        second: N views of the same photos.
        size: points a side, at least 2.

    Returns:
        Two float tensors (N, size, size, 2), x and y in [-1, 1] of the first and of the second
        view. Where two views do not overlap (touching counts as none) all points are
        ``OUTSIDE``.
    """
    start = torch.maximum(first.rectangles[:, :2], second.rectangles[:, :2])
    end = torch.minimum(
        first.rectangles[:, :2] + first.rectangles[:, 2:],
        second.rectangles[:, :2] + second.rectangles[:, 2:],
    )
    overlaps = (end > start).all(dim=1)
    fraction = torch.linspace(0, 1, size, device=start.device, dtype=start.dtype)
    # (N, size, 2): x along the columns and y along the rows of the overlap.
    points = start[:, None] + fraction[None, :, None] * (end - start)[:, None]

    def in_view(view: ViewGeometry) -> Tensor:
        relative = (points - view.rectangles[:, None, :2]) / view.rectangles[:, None, 2:]
        x, y = relative.unbind(dim=-1)
        x = torch.where(view.flipped[:, None], 1 - x, x)
        grid = torch.stack(
            [x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=-1
        )
        grid = grid * 2 - 1
        return torch.where(overlaps[:, None, None, None], grid, OUTSIDE)

    return in_view(first), in_view(second)
