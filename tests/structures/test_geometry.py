import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

from luss.datasets.transforms.multi_crop import MultiCrop, PackViews
from luss.errors import LussError
from luss.structures import (
    OUTSIDE,
    ViewGeometry,
    near_pixels,
    overlap_grids,
    sample_in_views,
)

WIDTH, HEIGHT = 200, 150
rectangles = st.tuples(
    st.integers(0, 90), st.integers(0, 90), st.integers(1, 90), st.integers(1, 90), st.booleans()
)


def coordinates():
    """A photo that shows in red the column and in green the row of each pixel; blue is full."""
    photo = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    photo[..., 0] = np.arange(WIDTH)
    photo[..., 1] = np.arange(HEIGHT)[:, None]
    return photo


def view_of(*row):
    return ViewGeometry.unpack(torch.tensor([row], dtype=torch.float32))


@pytest.mark.parametrize("backend", ["pillow", "torch"])
def test_a_grid_point_shows_one_place_of_the_photo_in_both_views(backend):
    crop = MultiCrop(
        [{"count": 2, "size": 64, "scale": (0.14, 1.0)}], flip_probability=0.5, backend=backend
    )
    errors, flips = [], set()
    for seed in range(60):
        random.seed(seed)
        packed = PackViews()(crop({"img": coordinates()}))
        geometry = packed["geometry"]
        flips.add(tuple(geometry[:, 4].tolist()))
        views = [ViewGeometry.unpack(row[None]) for row in geometry]
        grids = overlap_grids(*views, size=7)
        start = geometry[:, :2].max(dim=0).values
        end = (geometry[:, :2] + geometry[:, 2:4]).min(dim=0).values
        if not (end > start).all():
            continue
        x, y = (torch.linspace(a, b, 7) for a, b in zip(start, end, strict=True))
        for image, grid in zip(packed["inputs"], grids, strict=True):
            shown = F.grid_sample(image[None].float(), grid, align_corners=False)[0]
            # Half of what is read on the border of a view lies outside and is zero.
            inside = shown[2] > 254.9
            # Pixel i of the photo covers i to i + 1, so its value belongs to its centre.
            errors.append((shown[0] + 0.5 - x[None, :])[inside])
            errors.append((shown[1] + 0.5 - y[:, None])[inside])
    assert flips == {(0, 0), (0, 1), (1, 0), (1, 1)}
    errors = torch.cat(errors).abs()
    assert len(errors) > 2000
    # One pixel of the widest view is 3 pixels of the photo; grey values are whole numbers.
    assert errors.max() < 1.1
    assert errors.mean() < 0.25


@given(rectangles, rectangles, st.integers(2, 5))
def test_the_outer_points_lie_on_the_border_of_the_overlap(first, second, size):
    a, b = view_of(*first), view_of(*second)
    start = [max(first[i], second[i]) for i in (0, 1)]
    end = [min(first[i] + first[i + 2], second[i] + second[i + 2]) for i in (0, 1)]
    assume(start[0] < end[0] and start[1] < end[1])
    for row, grid in zip((first, second), overlap_grids(a, b, size), strict=True):
        assert grid.shape == (1, size, size, 2)
        for corner, (x, y) in {(0, 0): start, (-1, -1): end}.items():
            expected = [2 * (x - row[0]) / row[2] - 1, 2 * (y - row[1]) / row[3] - 1]
            if row[4]:
                expected[0] = -expected[0]
            assert grid[0][corner].tolist() == pytest.approx(expected, abs=1e-5)


@given(rectangles, st.sampled_from([(1, 0), (0, 1), (1, 1), (-1, 0), (0, -1)]))
def test_touching_views_do_not_overlap(row, direction):
    left, top, width, height, flip = row
    other = (left + direction[0] * width, top + direction[1] * height, width, height, not flip)
    for grid in overlap_grids(view_of(*row), view_of(*other), 3):
        assert (grid == OUTSIDE).all()
        assert (F.grid_sample(torch.ones(1, 1, 4, 4), grid, align_corners=False) == 0).all()


def test_equal_views_share_one_grid_but_for_the_flip():
    plain, mirrored = view_of(3, 4, 50, 20, 0), view_of(3, 4, 50, 20, 1)
    first, second = overlap_grids(plain, plain, 4)
    torch.testing.assert_close(first, second)
    first, second = overlap_grids(plain, mirrored, 4)
    torch.testing.assert_close(first * torch.tensor([-1.0, 1.0]), second)


@pytest.mark.parametrize("width", [4, 6])
def test_rows_of_another_width_are_rejected(width):
    with pytest.raises(ValueError, match=r"\(N, 7\) or \(N, 5\)"):
        ViewGeometry.unpack(torch.zeros(3, width))


# Where views lie in their photos, and which of their pixels are near


def plain_corners(left, top, width, height, flip, photo_width, photo_height):
    """From the description of PixPro's coordinates: first pixel 0, last pixel 1."""
    x = [left / max(photo_width - 1, 1), (left + width - 1) / max(photo_width - 1, 1)]
    y = [top / max(photo_height - 1, 1), (top + height - 1) / max(photo_height - 1, 1)]
    if flip:
        x.reverse()
    return [x[0], y[0], x[1], y[1]]


def plain_distances(first, second, height, width):
    """Pixel by pixel, for one photo; and the diagonal that they are measured by."""

    def pixels(corners):
        left, top, right, bottom = corners
        wide, high = (right - left) / width, (bottom - top) / height
        centres = [
            (left + (column + 0.5) * wide, top + (row + 0.5) * high)
            for row in range(height)
            for column in range(width)
        ]
        return centres, math.hypot(wide, high)

    (ours, diagonal), (theirs, other) = pixels(first), pixels(second)
    return np.array([[math.dist(a, b) for b in theirs] for a in ours]), max(diagonal, other)


@given(rectangles, st.integers(181, 260), st.integers(181, 260))
def test_corners_lie_between_the_first_and_the_last_pixel(row, width, height):
    packed = torch.tensor([[*row, width, height]], dtype=torch.float32)
    corners = ViewGeometry.unpack(packed).corners()
    assert corners[0].tolist() == pytest.approx(plain_corners(*row, width, height), abs=1e-6)


def test_corners_of_the_whole_photo():
    rows = [[0, 0, 30, 20, 0, 30, 20], [0, 0, 30, 20, 1, 30, 20], [0, 0, 1, 1, 0, 1, 1]]
    corners = ViewGeometry.unpack(torch.tensor(rows, dtype=torch.float32)).corners()
    assert corners.tolist() == [[0, 0, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0]]


def test_corners_without_the_sizes_of_the_photos():
    with pytest.raises(LussError, match="width and height of their photos"):
        view_of(3, 4, 50, 20, 0).corners()


corner = st.tuples(*[st.floats(0, 1, width=32)] * 4)


@given(
    st.lists(st.tuples(corner, corner), min_size=1, max_size=3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0.5, 0.7, 3.0]),
)
def test_near_pixels_equal_a_plain_loop(pairs, height, width, limit):
    first, second = (torch.tensor(rows, dtype=torch.float64) for rows in zip(*pairs, strict=True))
    found = near_pixels(first, second, (height, width), limit)
    assert found.shape == (len(pairs), height * width, height * width)
    for near, (ours, theirs) in zip(found, pairs, strict=True):
        distances, diagonal = plain_distances(ours, theirs, height, width)
        margin = distances - limit * diagonal
        # Rounding decides where a distance is the limit itself.
        clear = np.abs(margin) > 1e-9
        np.testing.assert_array_equal(near.numpy()[clear], (margin < 0)[clear])


def test_a_pixel_is_near_itself_and_mirrored_views_are_near_in_their_mirror_image():
    plain = torch.tensor([[0.2, 0.1, 0.8, 0.7]])
    mirrored = plain[:, [2, 1, 0, 3]]
    assert near_pixels(plain, plain, (3, 4), 0.3)[0].equal(torch.eye(12, dtype=torch.bool))
    near = near_pixels(plain, mirrored, (3, 4), 0.3)[0].reshape(3, 4, 3, 4)
    assert near.flip(3).reshape(12, 12).equal(torch.eye(12, dtype=torch.bool))


def test_views_far_apart_have_no_near_pixels():
    first, second = torch.tensor([[0, 0, 0.2, 0.2]]), torch.tensor([[0.9, 0.9, 1, 1]])
    assert not near_pixels(first, second, (7, 7), 0.7).any()


def test_a_crop_of_one_pixel_is_near_nothing():
    point = torch.tensor([[0.5, 0.5, 0.5, 0.5]])
    assert not near_pixels(point, point, (7, 7), 0.7).any()


def test_maps_are_sampled_where_views_look():
    """A map that shows each pixel's place looks, within a view, as the view of such a photo."""
    photo = coordinates()
    crop = MultiCrop([{"count": 6, "size": 32, "scale": (0.2, 1.0)}], flip_probability=0.5)
    random.seed(0)
    packed = PackViews()(crop({"img": photo}))
    views = ViewGeometry.unpack(packed["geometry"])
    assert set(views.flipped.tolist()) == {True, False}
    maps = torch.from_numpy(photo).permute(2, 0, 1)[None].float().expand(6, -1, -1, -1)
    found = sample_in_views(maps, views, (32, 32))
    for shown, expected in zip(found, packed["inputs"], strict=True):
        # At its border a view only shows its rectangle, and levels are rounded.
        inner = np.s_[:, 2:-2, 2:-2]
        torch.testing.assert_close(shown[inner], expected[inner].float(), atol=1.1, rtol=0)


def test_a_map_of_another_size_covers_the_same_photo():
    whole = view_of(0, 0, WIDTH, HEIGHT, 0, WIDTH, HEIGHT)
    small = torch.rand(1, 1, 6, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sample_in_views(small, whole, (6, 8)), small)
    mirrored = view_of(0, 0, WIDTH, HEIGHT, 1, WIDTH, HEIGHT)
    torch.testing.assert_close(sample_in_views(small, mirrored, (6, 8)), small.flip(3))
    with pytest.raises(LussError, match="width and height"):
        sample_in_views(small, view_of(0, 0, 9, 9, 0), (6, 8))
