"""The boundary prior: a photo's frame shows background, an object differs from it in colour."""

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
    """How far each pixel's colour is from those of the photo's frame.

    The frame's colours are clustered in Lab; the distance is that to the nearest cluster.

    Args:
        image: (H, W, 3) uint8 RGB.
        clusters: colours of the frame.
        frame: thickness of the frame as a part of the short side.

    Returns:
        (H, W) float32 in [0, 1], 1 at the most distant colours; near 0 everywhere in a photo of
        one colour.
    """
    lab = cv2.GaussianBlur(to_lab(image), (0, 0), _BLUR)
    colours = lab[frame_of(*lab.shape[:2], frame)]
    distinct = np.unique(colours, axis=0)
    if len(distinct) <= clusters:
        centres = distinct
    else:
        # The same photo gives the same map, whatever was done before.
        cv2.setRNGSeed(0)
        _, _, centres = cv2.kmeans(colours, clusters, None, _ROUNDS, 3, cv2.KMEANS_PP_CENTERS)
    nearest = np.full(lab.shape[:2], np.inf, np.float32)
    for centre in centres:
        nearest = np.minimum(nearest, np.linalg.norm(lab - centre, axis=2))
    # Neither a few odd pixels nor rounding in a photo of one colour must set the scale.
    scale = max(float(np.percentile(nearest, 99)), NOT_SEEN)
    return np.clip(nearest / np.float32(scale), 0, 1)
