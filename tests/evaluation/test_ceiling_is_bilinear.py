"""The ceiling rounds corners as bilinear scores do."""

import numpy as np

from luss.evaluation.ceiling import through_grid


def test_a_corner_is_kept_where_its_share_is_more_than_half():
    truth = np.zeros((16, 16), np.int64)
    truth[:8, :8] = 3
    back = through_grid(truth, (2, 2))
    # Pixel centres in cells, counted from the first cell's centre; clamped at the border.
    share = 1 - np.clip((np.arange(16) + 0.5) / 8 - 0.5, 0, 1)
    expected = np.where(np.outer(share, share) > 0.5, 3, 0)
    np.testing.assert_array_equal(back, expected)
    assert back[7, 7] == 0
