"""How well a perfect segmentor could do at its features' resolution."""

import numpy as np
import torch
import torch.nn.functional as F

from luss.datasets.mask_codec import IGNORE_ID

__all__ = ["through_grid"]


def through_grid(truth: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Reduce a mask to a feature map's grid and bring it back to its size.

    A cell of the grid takes the id of most of its area, ignored pixels left out (a cell of nothing
    else is 'other'; of equal areas the lowest id wins). The ids then come back as a segmentor's
    scores do: one map an id, up-sampled bilinearly, the largest wins.

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
