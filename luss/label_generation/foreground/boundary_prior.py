"""The boundary prior: objects differ in colour from the photo's frame."""

import cv2
import numpy as np
from numpy.typing import NDArray

from luss.label_generation.foreground.colours import NOT_SEEN, frame_of, to_lab

__all__ = ["boundary_prior"]

_ROUNDS = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.1)
_BLUR = 1.0


def boundary_prior(
    image: NDArray[np.uint8], clusters: int = 3, frame: float = 0.06
) -> NDArray[np.float32]:
    """Compute the distance of each pixel's colour to the colours of the photo's frame.

    The frame's colours are clustered in Lab; the distance is that to the nearest cluster.

    Args:
        image: (H, W, 3) uint8 RGB.
        clusters: number of clusters of the frame's colours.
        frame: thickness of the frame as a fraction of the short side.

    Returns:
        (H, W) float32 in [0, 1], 1 at the most distant colours; near 0 everywhere in a photo of
        one colour.
    """
    lab = np.asarray(cv2.GaussianBlur(to_lab(image), (0, 0), _BLUR), np.float32)
    height, width = lab.shape[:2]
    colours = lab[frame_of(height, width, frame)]
    distinct = np.unique(colours, axis=0)
    if len(distinct) <= clusters:
        centres = distinct
    else:
        # Makes the map reproducible.
        cv2.setRNGSeed(0)
        labels = np.zeros((len(colours), 1), np.int32)
        _, _, found = cv2.kmeans(colours, clusters, labels, _ROUNDS, 3, cv2.KMEANS_PP_CENTERS)
        centres = np.asarray(found, np.float32)
    nearest = np.full(lab.shape[:2], np.inf, np.float32)
    for centre in centres:
        nearest = np.minimum(nearest, np.linalg.norm(lab - centre, axis=2))
    # The scale must not depend on a few outliers, or on rounding in a photo of one colour.
    scale = max(float(np.percentile(nearest, 99)), NOT_SEEN)
    return np.clip(nearest / np.float32(scale), 0, 1)
