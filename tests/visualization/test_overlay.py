import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from luss.visualization.overlay import attention_picture, outline, overlay, resize_ids

SIZE = (17, 23)
MASKS = arrays(np.int32, SIZE, elements=st.sampled_from([0, 1, 2, 7, 1000]))


@pytest.fixture(scope="module")
def colours():
    return np.random.default_rng(1).integers(0, 256, (1 << 16, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


@settings(max_examples=20, deadline=None)
@given(ids=MASKS)
def test_overlay_pixel_by_pixel(ids, photo, colours):
    picture = overlay(photo, ids, colours, ignore=1000, striped={7})
    for row, column in np.ndindex(*SIZE):
        grey = np.dot(photo[row, column], [0.299, 0.587, 0.114])
        index, stripe = ids[row, column], (row + column) % 8 < 4
        if index == 1000:
            expected = np.full(3, 250 if stripe else 205)
        elif index == 0 or (index == 7 and stripe):
            expected = np.full(3, 0.75 * grey)
        else:
            expected = 0.6 * colours[index] + 0.4 * grey
        np.testing.assert_allclose(picture[row, column], expected, atol=0.51)


@settings(max_examples=20, deadline=None)
@given(ids=MASKS)
def test_outlines_lie_on_both_sides_of_a_boundary_only(ids, photo, colours):
    picture = outline(photo, ids, colours)
    for row, column in np.ndindex(*SIZE):
        near = ids[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        around = ids[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
        if near.min() != near.max():
            assert tuple(picture[row, column]) == tuple(colours[near.max()])
        elif around.min() == around.max():
            assert tuple(picture[row, column]) == tuple(photo[row, column])


def test_halos_contrast_with_their_line():
    ids = np.zeros((9, 9), np.int32)
    ids[:, 5:] = 1
    photo = np.full((9, 9, 3), 128, np.uint8)
    colours = np.zeros((1 << 16, 3), np.uint8)
    assert outline(photo, ids, colours)[4, 3].min() > 128
    colours[1] = 255
    assert outline(photo, ids, colours)[4, 3].max() < 128


def test_masks_are_resized_by_nearest_and_keep_their_ids():
    ids = np.array([[0, 1000], [65535, 7]], np.int32)
    np.testing.assert_array_equal(
        resize_ids(ids, (4, 6)), np.repeat(np.repeat(ids, 2, axis=0), 3, axis=1)
    )


def test_attention_is_shown_in_viridis_with_a_line_at_the_threshold():
    viridis = pytest.importorskip("matplotlib").colormaps["viridis"]
    attention = np.tile(np.arange(256, dtype=np.uint8), (5, 1))
    plain = attention_picture(attention)
    assert np.abs(plain / 255 - viridis(attention)[..., :3]).max() < 0.03
    marked = attention_picture(attention, 0.4)
    changed = np.flatnonzero((marked != plain).any(axis=(0, 2)))
    assert changed.tolist() == [102]  # 102 / 255 = 0.4 is the first that is no 'other'
    assert marked[:, 102].min() == 255


def test_no_line_where_all_is_foreground():
    attention = np.full((6, 6), 200, np.uint8)
    np.testing.assert_array_equal(attention_picture(attention, 0.1), attention_picture(attention))
