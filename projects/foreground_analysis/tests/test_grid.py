"""True masks at the resolution of labels."""

import numpy as np
import pytest

from foreground_analysis.ladder import through_grid
from luss.datasets.mask_codec import IGNORE_ID


@pytest.mark.parametrize("size", [(12, 9), (1, 1), (7, 16)])
def test_a_grid_of_the_masks_own_size_changes_nothing_but_ignored_pixels(size):
    truth = np.random.default_rng(0).choice([0, 2, 7, IGNORE_ID], size)
    expected = np.where(truth == IGNORE_ID, 0, truth)
    assert np.array_equal(through_grid(truth, size), expected)


def test_a_cell_takes_the_id_of_most_of_its_pixels_that_are_not_ignored():
    truth = np.zeros((8, 8), np.int64)
    truth[:4, :4] = IGNORE_ID
    truth[0, :2] = 3  # 2 of the 2 pixels of the first cell that count
    truth[4:, 4:] = 5
    truth[7, 4:] = 0  # 12 against 4
    back = through_grid(truth, (2, 2))
    # Without neighbours in their way: corners lie nearest to one cell only.
    assert back[0, 0] == 3 and back[7, 7] == 5 and back[0, 7] == back[7, 0] == 0


def test_whole_blocks_come_back_with_rounded_corners_only():
    truth = np.kron(np.array([[0, 1], [2, 0]]), np.ones((16, 16), np.int64))
    back = through_grid(truth, (4, 4))
    changed = back != truth
    # Bilinear scores of 4x4 cells of 8 px can differ within half a cell of an edge at most.
    far = np.ones_like(changed)
    far[12:20] = far[:, 12:20] = False
    assert not changed[far].any()


def test_small_objects_are_lost():
    truth = np.zeros((64, 64), np.int64)
    truth[10:13, 10:13] = 1
    assert not through_grid(truth, (8, 8)).any()


def test_a_corner_is_kept_where_its_share_is_more_than_half():
    truth = np.zeros((16, 16), np.int64)
    truth[:8, :8] = 3
    back = through_grid(truth, (2, 2))
    # Pixel centres in cells, counted from the first cell's centre; clamped at the border.
    share = 1 - np.clip((np.arange(16) + 0.5) / 8 - 0.5, 0, 1)
    expected = np.where(np.outer(share, share) > 0.5, 3, 0)
    np.testing.assert_array_equal(back, expected)
    assert back[7, 7] == 0
