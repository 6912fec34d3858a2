import numpy as np
import torch
from tolerance import assert_close

from luss.structures import OUTSIDE, ViewGeometry, overlap_grids


def test_grids(golden):
    arrays = golden("get_grid.npz")
    first, second = (
        ViewGeometry.unpack(torch.from_numpy(arrays[name]).float()) for name in ("rect_q", "rect_k")
    )
    for suffix in ("", "_b"):
        grids = overlap_grids(first, second, int(arrays[f"size{suffix}"]))
        for grid, name in zip(grids, ("grid_q", "grid_k"), strict=True):
            assert_close(grid, arrays[name + suffix])
            outside = (grid == OUTSIDE).flatten(1).all(dim=1).numpy()
            np.testing.assert_array_equal(~outside, arrays["overlap"])
