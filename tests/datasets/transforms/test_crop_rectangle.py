import random

from hypothesis import given
from hypothesis import strategies as st

from luss.datasets.transforms.crop_rectangle import draw_crop_rectangle

sides = st.integers(1, 600)


@given(sides, sides, st.integers(0, 9), st.sampled_from([(0.08, 1.0), (0.05, 0.14), (0.9, 1.0)]))
def test_rectangles_lie_inside_the_image(width, height, seed, scale):
    random.seed(seed)
    top, left, crop_height, crop_width = draw_crop_rectangle(width, height, scale)
    assert 0 <= top < top + crop_height <= height
    assert 0 <= left < left + crop_width <= width


def test_areas_and_ratios_keep_to_their_bounds():
    random.seed(0)
    for _ in range(500):
        _, _, height, width = draw_crop_rectangle(1000, 1000, (0.2, 0.5), (0.5, 2.0))
        assert 0.199 <= width * height / 1e6 <= 0.501
        assert 0.495 <= width / height <= 2.02


def test_an_image_too_narrow_gives_its_centre():
    assert draw_crop_rectangle(10, 1000, (0.9, 1.0)) == (493, 0, 13, 10)
    assert draw_crop_rectangle(1000, 9, (0.9, 1.0)) == (0, 494, 9, 12)
