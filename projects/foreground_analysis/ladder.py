"""The ladder: mIoU with true masks, true categories, both or none.

It shows which of the two to improve: a small drop from one rung to the next leaves little to gain.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts, check_evaluated
from luss.evaluation.metrics import matched_miou

__all__ = ["RUNGS", "Ladder", "nearest_ids", "through_grid"]

RUNGS = {
    "ceiling": "true masks, true categories",
    "found_categories": "true masks, found categories",
    "found_masks": "found masks, true categories",
    "both_found": "found masks, found categories",
}
"""Rungs from the best possible to the found result."""

_MATCHED = ("found_categories", "both_found")


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


def nearest_ids(ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """Replace 'other' and ignored ids by the id of the nearest pixel with a category.

    Args:
        ids: (H, W), 0 is 'other', ``IGNORE_ID`` is ignored.

    Returns:
        (H, W) int64; 0 everywhere if no pixel has a category.
    """
    without = (ids == 0) | (ids == IGNORE_ID)
    if without.all():
        return np.zeros(ids.shape, np.int64)
    places = distance_transform_edt(without, return_distances=False, return_indices=True)
    return ids[tuple(places)].astype(np.int64)


class Ladder:
    """Counts of the four rungs.

    Each rung with found categories has its own match, found on the added photos as in the threshold
    search. On validation, the last rung is the validation mIoU of these labels.

    Args:
        num_classes: C, true classes without 'other'.
        num_generated: G, generated ids.
        matcher: finds the match of counts.

    Raises:
        LussError: if masks cannot encode these numbers of classes.
    """

    def __init__(
        self,
        num_classes: int,
        num_generated: int,
        matcher: Callable[[Counts], NDArray[np.int64]],
    ) -> None:
        self.counts = {
            rung: Counts.zeros(
                num_classes, num_generated if rung in _MATCHED else num_classes, boundary=False
            )
            for rung in RUNGS
        }
        self.matcher = matcher

    def add(
        self,
        mask: NDArray[np.bool_],
        categories: NDArray[np.integer],
        truth: NDArray[np.integer],
        grid: tuple[int, int],
    ) -> None:
        """Add a photo.

        If a found mask covers true 'other', its true category is that of the nearest true object;
        without true objects it stays 'other'.

        Args:
            mask: (H, W), found foreground.
            categories: (H, W) found ids 1..G in the foreground; 0 if unknown, which stays 'other'.
            truth: (H, W) ids 0..C or ``IGNORE_ID``.
            grid: (h, w) of the labels; true masks are reduced to it.

        Raises:
            LussError: if shapes or ids do not fit.
        """
        if not mask.shape == categories.shape == truth.shape:
            raise LussError(
                f"mask, categories and truth have the shapes {mask.shape}, {categories.shape} and "
                f"{truth.shape}. Expected equal shapes"
            )
        reachable = through_grid(truth, grid)
        labels = {
            "ceiling": reachable,
            "found_categories": np.where(reachable > 0, categories, 0),
            "found_masks": np.where(mask, nearest_ids(reachable), 0),
            "both_found": np.where(mask, categories, 0),
        }
        for rung, ids in labels.items():
            counts = self.counts[rung]
            counts.add(
                count_image(ids, truth, counts.num_classes, counts.num_generated, boundary=False)
            )

    def miou(self) -> dict[str, float]:
        """Return the mIoU of each of `RUNGS` in percent, over C + 1 classes.

        Raises:
            LussError: if no photo was added, or all pixels are ignored.
        """
        found = {}
        for rung, counts in self.counts.items():
            confusion = counts.confusion[0, 0, :-1, :-1]
            check_evaluated(confusion, counts.images)
            identity = np.arange(counts.num_classes + 1)
            match = self.matcher(counts) if rung in _MATCHED else identity
            found[rung] = 100 * matched_miou(confusion, match)
        return found
