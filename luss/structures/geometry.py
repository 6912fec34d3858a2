"""Geometry of views: where each crop lies in its photo.

A crop records its source rectangle and whether it was flipped. Correspondences between views (the
P2P grid of section 4.2, PixPro's pixel centres) are computed from these in batches, on the device.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from luss.errors import LussError

__all__ = [
    "OUTSIDE",
    "ViewGeometry",
    "near_pixels",
    "overlap_grids",
    "sample_in_views",
    "size_of",
]

OUTSIDE = -2.0
"""Grid coordinate of a point that lies in neither view; it is sampled as zero."""


def size_of(maps: Tensor) -> tuple[int, int]:
    """Return height and width of images or maps (..., H, W)."""
    height, width = maps.shape[-2:]
    return height, width


@dataclass
class ViewGeometry:
    """Position of N views in their source photos.

    Attributes:
        rectangles: (N, 4) float, left, top, width and height in pixels of the source.
        flipped: (N,) bool, whether the view was mirrored horizontally after cropping.
        photo_sizes: (N, 2) float, width and height of the source in pixels; None if unknown.
    """

    rectangles: Tensor
    flipped: Tensor
    photo_sizes: Tensor | None = None

    @classmethod
    def unpack(cls, packed: Tensor) -> "ViewGeometry":
        """Read rows of left, top, width, height, flip, and width and height of the photo.

        Args:
            packed: (N, 7) float, or (N, 5) if the photos' sizes are unknown.
        """
        if packed.ndim != 2 or packed.shape[1] not in (5, 7):
            raise ValueError(
                f"expected geometry of shape (N, 7) or (N, 5), found {tuple(packed.shape)}"
            )
        sizes = packed[:, 5:] if packed.shape[1] == 7 else None
        return cls(rectangles=packed[:, :4], flipped=packed[:, 4] != 0, photo_sizes=sizes)

    @classmethod
    def unpack_views(cls, packed: Tensor | None) -> "list[ViewGeometry]":
        """Read a batch's geometry (N, V, 7 or 5), one entry per view; see :meth:`unpack`.

        Raises:
            LussError: if it is None.
        """
        if packed is None:
            raise LussError(
                "the batch has no geometry of its views; end the data set's pipeline with "
                "MultiCrop and PackViews"
            )
        return [cls.unpack(view) for view in packed.unbind(dim=1)]

    @property
    def known_photo_sizes(self) -> Tensor:
        """Return ``photo_sizes``.

        Raises:
            LussError: if they are unknown.
        """
        if self.photo_sizes is None:
            raise LussError(
                "the views come without the width and height of their photos; end the data set's "
                "pipeline with MultiCrop and PackViews, whose geometry has 7 numbers per view"
            )
        return self.photo_sizes

    def corners(self) -> Tensor:
        """Compute the position in the photo of each view's borders.

        Returns:
            (N, 4) float: x at the left border, y at the top, x at the right, y at the bottom, where
            0 is the photo's first pixel and 1 its last. Left and right are swapped in a mirrored
            view.

        Raises:
            LussError: if the photos' sizes are unknown.
        """
        last = (self.known_photo_sizes - 1).clamp(min=1)
        start = self.rectangles[:, :2] / last
        end = (self.rectangles[:, :2] + self.rectangles[:, 2:] - 1) / last
        corners = torch.cat([start, end], dim=1)
        return torch.where(self.flipped[:, None], corners[:, [2, 1, 0, 3]], corners)


def near_pixels(first: Tensor, second: Tensor, size: tuple[int, int], limit: float) -> Tensor:
    """Find the pixels of two views' feature maps that show nearly the same place.

    The distance of two pixels' centres in the photo is divided by the larger diagonal of a pixel of
    the two views (PixPro, section 3.1).

    Args:
        first: (N, 4) float, corners of N views, see :meth:`ViewGeometry.corners`.
        second: (N, 4) float, corners of other views of the same photos.
        size: height and width of both feature maps.
        limit: distance in diagonals below which pixels are near.

    Returns:
        (N, h * w, h * w) bool, pixels of the first view by pixels of the second, in reading order.
    """
    height, width = size
    across = (torch.arange(width, device=first.device, dtype=first.dtype) + 0.5) / width
    down = (torch.arange(height, device=first.device, dtype=first.dtype) + 0.5) / height

    def centres_and_diagonal(corners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        left, top, right, bottom = corners[:, :, None].unbind(dim=1)
        x = left + across * (right - left)  # (N, w)
        y = top + down * (bottom - top)  # (N, h)
        diagonal = torch.hypot((right - left) / width, (bottom - top) / height)
        return (
            x[:, None, :].expand(-1, height, -1).flatten(1),
            y[:, :, None].expand(-1, -1, width).flatten(1),
            diagonal[:, :, None],
        )

    x1, y1, diagonal1 = centres_and_diagonal(first)
    x2, y2, diagonal2 = centres_and_diagonal(second)
    distance = torch.hypot(x1[:, :, None] - x2[:, None, :], y1[:, :, None] - y2[:, None, :])
    # Multiply instead of dividing: the diagonal of a one-pixel crop is 0.
    return distance < limit * torch.maximum(diagonal1, diagonal2)


def overlap_grids(first: ViewGeometry, second: ViewGeometry, size: int) -> tuple[Tensor, Tensor]:
    """Lay one grid over the overlap of two views and express it in each view's coordinates.

    ``size`` x ``size`` points cover the overlap of the source rectangles; the outer points lie on
    its border. ``torch.nn.functional.grid_sample`` with these grids reads the same places of the
    photo from both feature maps (section 4.2, P2P).

    Args:
        first: N views.
        second: N views of the same photos.
        size: points per side, at least 2.

    Returns:
        Two float tensors (N, size, size, 2), x and y in [-1, 1] of the first and of the second
        view. All points of views that do not overlap (or only touch) are ``OUTSIDE``.
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


def sample_in_views(maps: Tensor, views: ViewGeometry, size: tuple[int, int]) -> Tensor:
    """Crop maps of photos to what the views show.

    Args:
        maps: (N, C, h, w) float, one map per photo, of any size.
        views: N views of the photos.
        size: height and width of the result.

    Returns:
        (N, C, *size): bilinear values at the centres of the view's pixels.

    Raises:
        LussError: if the photos' sizes are unknown.
    """
    height, width = size
    left, top, across, down = views.rectangles.unbind(dim=1)
    photo_width, photo_height = views.known_photo_sizes.unbind(dim=1)
    columns = ((torch.arange(width, device=maps.device) + 0.5) / width).expand(len(maps), -1)
    rows = ((torch.arange(height, device=maps.device) + 0.5) / height).expand(len(maps), -1)
    columns = torch.where(views.flipped[:, None], 1 - columns, columns)
    x = (left[:, None] + columns * across[:, None]) / photo_width[:, None]
    y = (top[:, None] + rows * down[:, None]) / photo_height[:, None]
    grid = torch.stack(
        [x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], dim=-1
    )
    grid = (grid * 2 - 1).to(maps.dtype)
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=False)
