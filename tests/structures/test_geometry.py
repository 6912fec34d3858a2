import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

from luss.datasets.transforms.multi_crop import MultiCrop, PackViews
from luss.structures import OUTSIDE, ViewGeometry, overlap_grids

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


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"\(N, 5\)"):
        ViewGeometry.unpack(torch.zeros(3, 4))
