import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from luss.datasets.transforms import (
    MultiCrop,
    RandomFlipWithMask,
    RandomResizedCropWithMask,
    ResizeShortSide,
    draw_crop_rectangle,
)
from luss.datasets.transforms.resizing import resize_mask, short_side_size, sides_divisor
from luss.errors import LussError
from luss.registry import TRANSFORMS


@pytest.fixture
def results():
    random_pixels = np.random.default_rng(0)
    return {
        "img": random_pixels.integers(0, 256, (60, 100, 3), dtype=np.uint8),
        "gt_seg_map": random_pixels.integers(0, 300, (60, 100), dtype=np.int32),
    }


@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 300))
def test_the_short_side_is_met_and_the_long_one_truncated(width, height, size):
    new_width, new_height = short_side_size(width, height, size)
    assert min(new_width, new_height) == size
    expected = size * max(width, height) // min(width, height)
    assert max(new_width, new_height) == min(expected, 16 * size)


@given(st.integers(1, 700), st.integers(1, 700))
def test_the_long_side_is_kept_in_bounds(width, height):
    new_width, new_height = short_side_size(width, height, 64, max_long=128)
    assert min(new_width, new_height) == 64
    assert max(new_width, new_height) <= 128


@given(
    st.integers(1, 700),
    st.integers(1, 700),
    st.integers(1, 300),
    st.integers(1, 20),
    st.integers(0, 400) | st.none(),
)
def test_sides_are_the_nearest_multiples(width, height, size, number, further):
    most = None if further is None else size + further
    plain = short_side_size(width, height, size, most)
    rounded = short_side_size(width, height, size, most, multiple_of=number)
    for before, after in zip(plain, rounded, strict=True):
        assert after % number == 0
        if after > number and after + number <= (most or 16 * size):
            assert 2 * abs(after - before) <= number
    assert max(rounded) <= max(most or 16 * size, number)


def test_numbers_of_which_the_sides_are_surely_multiples():
    load, pack = {"type": "LoadRGBImage"}, {"type": "PackInputs"}
    for steps, expected in [
        ([], 1),
        ([{"type": "ResizeShortSide", "size": 224}], 1),
        ([{"type": "ResizeShortSide", "size": 256, "multiple_of": 14}], 14),
        ([{"type": "ResizeShortSide", "size": 256}, {"type": "CenterCrop", "crop_size": 224}], 224),
        ([{"type": "CenterCrop", "crop_size": (96, 64)}], 32),
        ([{"type": "RandomResizedCropWithMask", "size": 98}, {"type": "RandomFlipWithMask"}], 98),
        ([{"type": "MultiCrop", "views": [{"size": 224}, {"size": 96}]}], 32),
        ([{"type": "ResizeShortSide", "size": 256, "multiple_of": 14}, {"type": "Pad"}], None),
    ]:
        assert sides_divisor([load, *steps, pack]) == expected


@pytest.mark.parametrize(("width", "height"), [(20_000, 1), (3, 60_000)])
def test_extremely_long_photos_give_small_maps(width, height):
    image = np.zeros((height, width, 3), np.uint8)
    out = ResizeShortSide(256)({"img": image})["img"]
    assert sorted(out.shape[:2]) == [256, 4096]
    views = MultiCrop()({"img": image})["views"]
    assert [view.shape[0] for view in views] == [224] * 2 + [96] * 6
    crop = RandomResizedCropWithMask(224)({"img": image, "gt_seg_map": image[..., 0].astype("i")})
    assert crop["img"].shape[:2] == crop["gt_seg_map"].shape == (224, 224)


def test_the_image_is_resized_as_pil_does_and_the_mask_left(results):
    image, mask = results["img"], results["gt_seg_map"]
    out = ResizeShortSide(25)(dict(results))
    expected = Image.fromarray(image).resize((41, 25), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(out["img"], expected)
    assert out["img_shape"] == (25, 41)
    assert out["gt_seg_map"] is mask
    out = ResizeShortSide(25, resize_mask=True)(dict(results))
    assert out["gt_seg_map"].shape == (25, 41)


def test_impossible_sizes_are_refused():
    with pytest.raises(LussError, match="max_long"):
        ResizeShortSide(256, max_long=128)
    for number in (0, 14.0, "14"):
        with pytest.raises(LussError, match=f"multiple_of is {number!r}"):
            ResizeShortSide(256, multiple_of=number)


def test_masks_take_the_nearest_pixel():
    mask = np.random.default_rng(0).integers(0, 1001, (17, 31), dtype=np.int32)
    rows = ((np.arange(10) + 0.5) * 17 / 10).astype(int)
    columns = ((np.arange(40) + 0.5) * 31 / 40).astype(int)
    np.testing.assert_array_equal(resize_mask(mask, 40, 10), mask[np.ix_(rows, columns)])


def test_image_and_mask_are_cut_alike(results):
    random.seed(5)
    top, left, height, width = draw_crop_rectangle(100, 60, (0.2, 0.6))
    random.seed(5)
    out = RandomResizedCropWithMask(24, scale=(0.2, 0.6))(dict(results))
    box = (left, top, left + width, top + height)
    image = Image.fromarray(results["img"]).crop(box).resize((24, 24), Image.Resampling.BILINEAR)
    mask = Image.fromarray(results["gt_seg_map"]).crop(box).resize((24, 24), 0)
    np.testing.assert_array_equal(out["img"], image)
    np.testing.assert_array_equal(out["gt_seg_map"], mask)
    assert out["gt_seg_map"].dtype == np.int32


def test_image_and_mask_are_flipped_alike(results):
    out = RandomFlipWithMask(prob=1.0)(dict(results))
    np.testing.assert_array_equal(out["img"], results["img"][:, ::-1])
    np.testing.assert_array_equal(out["gt_seg_map"], results["gt_seg_map"][:, ::-1])
    out = RandomFlipWithMask(prob=0.0)(dict(results))
    np.testing.assert_array_equal(out["img"], results["img"])


def test_center_crop_of_mmcv_rounds_as_the_released_code(results):
    crop = TRANSFORMS.build({"type": "CenterCrop", "crop_size": 51})
    out = crop(dict(results))
    # round((60 - 51) / 2) = round(4.5) = 4, to the even one; round((100 - 51) / 2) = round(24.5).
    np.testing.assert_array_equal(out["img"], results["img"][4:55, 24:75])
    np.testing.assert_array_equal(out["gt_seg_map"], results["gt_seg_map"][4:55, 24:75])
