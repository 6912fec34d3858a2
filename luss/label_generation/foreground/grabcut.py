"""Refinement of a map's edges by GrabCut (Rother et al., 2004)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.label_generation.foreground.normalising import ranks

__all__ = ["refine_by_grabcut"]


def refine_by_grabcut(
    image: NDArray[np.uint8],
    foreground: NDArray,
    *,
    sure_background: float = 0.3,
    likely_foreground: float = 0.75,
    sure_foreground: float = 0.97,
    iterations: int = 5,
    weight: float = 5 / 6,
) -> NDArray[np.float32]:
    """Cut the photo into object and background by colour, starting from a map.

    Shares are compared with :func:`ranks`, in which equal values have their mean rank. Hence the
    two values of a binary map are fixed to neither side: the lower starts as background, the higher
    as foreground, and the cut may change both.

    Args:
        image: (H, W, 3) uint8 RGB.
        foreground: (H, W) map to start from.
        sure_background: pixels up to this rank are fixed as background.
        likely_foreground: pixels from this rank on start as foreground.
        sure_foreground: pixels from this rank on are fixed as foreground.
        iterations: of colour models and cuts.
        weight: of the cut in the result, against the ranks of the given map.

    Returns:
        (H, W) float32 in [0, 1]: weighted sum of the cut and the map's ranks; only the ranks for a
        map of one value.

    Raises:
        LussError: if the shares do not ascend, or map and photo differ in size.
    """
    if not 0 <= sure_background < likely_foreground <= sure_foreground <= 1:
        raise LussError(
            f"refine_by_grabcut: shares {sure_background}, {likely_foreground}, {sure_foreground} "
            "must ascend within 0..1"
        )
    if foreground.shape != image.shape[:2]:
        raise LussError(f"a map of {foreground.shape} does not fit a photo of {image.shape[:2]}")
    order = ranks(foreground)
    lowest, highest = order.min(), order.max()
    if lowest == highest:
        return order
    labels = np.full(order.shape, cv2.GC_PR_BGD, np.uint8)
    # OpenCV's colour models need pixels of both sides, also with ties.
    labels[(order >= min(likely_foreground, highest)) & (order > lowest)] = cv2.GC_PR_FGD
    labels[(order <= sure_background) & (order < highest)] = cv2.GC_BGD
    labels[(order >= sure_foreground) & (order > lowest)] = cv2.GC_FGD
    # Makes the cut reproducible.
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(image[..., ::-1])
    no_rectangle = (0, 0, 0, 0)
    cv2.grabCut(bgr, labels, no_rectangle, *models, iterations, cv2.GC_INIT_WITH_MASK)
    cut = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
    return (weight * cut + (1 - weight) * order).astype(np.float32)
