"""The best possible prediction at the resolution of a feature map."""

import numpy as np
import torch
import torch.nn.functional as F

from luss.datasets.mask_codec import IGNORE_ID

__all__ = ["through_grid"]


def through_grid(truth: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Reduce a mask to a feature map's grid, and upsample it to its size.

    A cell of the grid gets the id with the largest area, without ignored pixels (only ignored
    pixels: 'other'; equal areas: the lowest id). Upsampling equals a segmentor's: one map per id,
    bilinear, the largest value wins.

    Args:
        truth: (H, W) integer ids, ``IGNORE_ID`` allowed.
        grid: (h, w) of the feature map.

    Returns:
        (H, W) int64 ids that occur in ``truth``, or 0.
    """
    ids = np.union1d(truth[truth != IGNORE_ID], [0])
    one_hot = torch.from_numpy((truth[None] == ids[:, None, None]).astype(np.float32))
    cells = F.adaptive_avg_pool2d(one_hot, grid).argmax(dim=0)
    maps = F.one_hot(cells, len(ids)).permute(2, 0, 1).float()
    back = F.interpolate(maps[None], truth.shape, mode="bilinear", align_corners=False)
    return ids[back[0].argmax(dim=0).numpy()].astype(np.int64)
