"""A cut of self-supervised features into two sides, one of which is the foreground.

After TokenCut (Wang et al., CVPR 2022: the second-smallest eigenvector of the normalised Laplacian
of a graph of features) and Deep Spectral Methods (Melas-Kyriazi et al., CVPR 2022: affinity of
colours beside that of features), written from the papers' descriptions. Maps of stride 16 have too
few cells for it: features are taken at a finer stride, from shifted copies of the photo.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.foreground.colours import NOT_SEEN, frame_of, to_lab
from luss.label_generation.foreground.normalising import range_to_one
from luss.label_generation.foreground.photo import Photo
from luss.label_generation.foreground.source import ForegroundSource
from luss.registry import FOREGROUND_SOURCES

__all__ = ["FeatureCut", "finer_features", "normalised_cut", "oriented_by_frame"]

_COLOUR_WIDTH = 10.0
"""In Lab, where 2 is just seen."""
_LINK = 1e-6
"""Weight that keeps the graph in one piece: a part of its own would be a cut that costs nothing."""
_MOST_CELLS = 6000
_ROUNDING = 1e-5
"""Of a feature's length: features that differ by less are alike."""


def finer_features(extract: Callable[[Tensor], Tensor], images: Tensor, factor: int) -> Tensor:
    """Features at a stride that is ``factor`` times finer, from copies shifted by parts of it.

    The objects keep the size at which the features were learnt, which enlarging would change.

    Args:
        extract: from images (N, 3, H, W) to feature maps (N, L, h, w).
        images: (1, 3, H, W).
        factor: of both sides; 1 for the map as it is.

    Returns:
        (1, L, factor * h, factor * w).
    """
    first = extract(images)
    length, height, width = first.shape[1:]
    finer = first.new_empty(1, length, factor * height, factor * width)
    finer[:, :, ::factor, ::factor] = first
    strides = [side / cells for side, cells in zip(images.shape[2:], (height, width), strict=True)]
    for place in range(1, factor**2):
        rows, columns = divmod(place, factor)
        down, right = round(rows * strides[0] / factor), round(columns * strides[1] / factor)
        # The photo's last rows and columns are seen again where it ends.
        shifted = F.pad(images[:, :, down:, right:], (0, right, 0, down), mode="replicate")
        finer[:, :, rows::factor, columns::factor] = extract(shifted)
    return finer


def normalised_cut(
    features: NDArray, lab: NDArray, colour_share: float = 0.7
) -> NDArray[np.float64]:
    """The second-smallest eigenvector of a photo's graph: y of (D - W) y = lambda D y.

    All cells are linked: by the cosine of their features, less the photo's mean, where that is
    positive, and by likeness of colour. Time and memory grow with the square of the cells.

    Args:
        features: (h, w, L).
        lab: (h, w, 3) CIE Lab.
        colour_share: of the links by colour in the weight of all links.

    Returns:
        (h, w), of any sign and scale; zeros if all cells are alike, when no cut is better than
        another.

    Raises:
        LussError: if there are fewer than 4 cells.
    """
    height, width = features.shape[:2]
    count = height * width
    if count < 4:
        raise LussError(f"a feature map of {height} x {width} cells cannot be cut")
    by_features = _links_by_features(features.reshape(count, -1))
    by_colour = _links_by_colour(lab.reshape(count, 3))
    weights = (1 - colour_share) * by_features + colour_share * by_colour + _LINK
    if np.ptp(weights) <= _ROUNDING * weights.max():
        return np.zeros((height, width))
    np.fill_diagonal(weights, 0)
    root = 1 / np.sqrt(weights.sum(axis=1))
    weights *= root[:, None]
    weights *= root
    # The largest of the normalised affinity are the smallest of the normalised Laplacian.
    start = np.random.default_rng(0).standard_normal(count)
    values, vectors = eigsh(weights, k=2, which="LA", v0=start)
    return (root * vectors[:, np.argmin(values)]).reshape(height, width)


def _links_by_features(features: NDArray) -> NDArray[np.float64]:
    # After a ReLU all features point the same way; what differs within the photo tells.
    unseen = _ROUNDING * np.linalg.norm(features, axis=1).max()
    features = np.asarray(features, np.float64) - features.mean(axis=0)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    features = np.where(lengths > unseen, features, 0)
    directions = features / np.maximum(lengths, 1e-12)
    return _of_mean_one(np.maximum(directions @ directions.T, 0))


def _links_by_colour(lab: NDArray) -> NDArray[np.float64]:
    points = np.asarray(lab, np.float64) / _COLOUR_WIDTH
    squares = np.square(points).sum(axis=1)
    distances = squares[:, None] + squares - 2 * points @ points.T
    return _of_mean_one(np.exp(-np.maximum(distances, 0) / 2))


def _of_mean_one(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    mean = weights.mean()
    return weights / mean if mean > 0 else weights


def oriented_by_frame(values: NDArray, part: float = 0.06) -> NDArray[np.float32]:
    """A cut as map: the side that touches the photo's frame less becomes the foreground.

    Args:
        values: (h, w), positive on one side and negative on the other.
        part: thickness of the frame as a part of the short side.

    Returns:
        (h, w) float32 in [0, 1].
    """
    frame = values[frame_of(*values.shape, part)]
    if (frame > 0).mean() > 0.5:
        values = -values
    return range_to_one(values)


@FOREGROUND_SOURCES.register_module()
class FeatureCut(ForegroundSource):
    """The normalised cut of the trained model's features and the photo's colours.

    Args:
        finer: how many times finer than the feature map's stride the cells are; less for maps that
            would have more than 6,000 cells then.
        colour_share: of the links by colour in the weight of all links.

    Raises:
        LussError: if a setting is out of range.
    """

    needs_model = True

    def __init__(self, finer: int = 2, colour_share: float = 0.7) -> None:
        if finer < 1 or not 0 <= colour_share <= 1:
            raise LussError(
                f"FeatureCut: finer is {finer}, expected 1 or more; colour_share is "
                f"{colour_share}, expected 0..1"
            )
        self.finer = finer
        self.colour_share = colour_share

    def __call__(self, photo: Photo) -> NDArray[np.float32]:
        """(finer * h, finer * w) of a feature map (h, w); zeros for a photo of one colour."""
        cells = photo.features[0, 0].numel()
        finer = max(1, min(self.finer, math.isqrt(_MOST_CELLS // cells)))
        found = finer_features(photo.features_of, photo.inputs, finer)
        features = found[0].permute(1, 2, 0).cpu().numpy()
        height, width = features.shape[:2]
        lab = to_lab(cv2.resize(photo.image, (width, height), interpolation=cv2.INTER_AREA))
        # What features of such a photo differ by is the padding at its edges.
        if np.ptp(lab, axis=(0, 1)).max() < NOT_SEEN:
            return np.zeros((height, width), np.float32)
        return oriented_by_frame(normalised_cut(features, lab, self.colour_share))
