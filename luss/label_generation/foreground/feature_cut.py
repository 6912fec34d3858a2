"""A graph cut of self-supervised features into foreground and background.

After TokenCut (Wang et al., CVPR 2022: the second-smallest eigenvector of the normalised Laplacian
of a graph of features) and Deep Spectral Methods (Melas-Kyriazi et al., CVPR 2022: affinity of
colours in addition to features), written from the papers' descriptions. Maps of stride 16 have too
few cells, so features of shifted copies of the photo are interleaved to a finer stride.
"""

import math
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.feature_maps import deepest_map
from luss.label_generation.foreground.colours import frame_of, has_one_colour, to_lab
from luss.label_generation.foreground.normalising import range_to_one
from luss.label_generation.foreground.photo import LazyPhoto
from luss.label_generation.foreground.source import ForegroundSource
from luss.registry import FOREGROUND_SOURCES

__all__ = ["FeatureCut", "finer_features", "normalised_cut", "oriented_by_frame"]

_COLOUR_WIDTH = 10.0
"""In Lab, where a distance of 2 is just visible."""
_LINK = 1e-6
"""Weight that keeps the graph connected, since cutting off a separate component costs nothing."""
_MOST_CELLS = 6000
_ROUNDING = 1e-5
"""Relative difference below which features count as equal."""


def finer_features(extract: Callable[[Tensor], Tensor], images: Tensor, factor: int) -> Tensor:
    """Compute features at a ``factor`` times finer stride, from shifted copies of the image.

    Unlike in an enlarged image, objects keep the size at which the features were learnt.

    Args:
        extract: maps images (N, 3, H, W) to feature maps (N, L, h, w).
        images: (1, 3, H, W).
        factor: of both sides; 1 for the plain feature map.

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
        shifted = F.pad(images[:, :, down:, right:], (0, right, 0, down), mode="replicate")
        finer[:, :, rows::factor, columns::factor] = extract(shifted)
    return finer


def normalised_cut(
    features: NDArray, lab: NDArray, colour_share: float = 0.7
) -> NDArray[np.float64]:
    """Compute the second-smallest eigenvector of a photo's graph: y of (D - W) y = lambda D y.

    All cells are linked: by the positive part of the cosine of their centred features, and by
    similarity of colour. Time and memory grow with the square of the number of cells.

    Args:
        features: (h, w, L).
        lab: (h, w, 3) CIE Lab.
        colour_share: share of the colour links in the weight of all links.

    Returns:
        (h, w), of any sign and scale; zeros if all cells are equal, so that all cuts are equal.

    Raises:
        LussError: if there are fewer than 4 cells.
    """
    height, width = features.shape[:2]
    count = height * width
    if count < 4:
        raise LussError(
            f"FeatureCut needs 4 or more cells, but the feature map has {height} x {width} cells; "
            "use larger photos, or a backbone of smaller stride"
        )
    by_features = _links_by_features(features.reshape(count, -1))
    by_colour = _links_by_colour(lab.reshape(count, 3))
    weights = (1 - colour_share) * by_features + colour_share * by_colour + _LINK
    if np.ptp(weights) <= _ROUNDING * weights.max():
        return np.zeros((height, width))
    np.fill_diagonal(weights, 0)
    root = 1 / np.sqrt(weights.sum(axis=1))
    weights *= root[:, None]
    weights *= root
    # The largest eigenvalues of the normalised affinity are the Laplacian's smallest.
    start = np.random.default_rng(0).standard_normal(count)
    values, vectors = eigsh(weights, k=2, which="LA", v0=start)
    return (root * vectors[:, np.argmin(values)]).reshape(height, width)


def _links_by_features(features: NDArray) -> NDArray[np.float64]:
    # After a ReLU all features have similar directions, so the photo's mean is subtracted.
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
    """Convert a cut to a map: the side that touches the photo's frame less is the foreground.

    Args:
        values: (h, w), positive on one side and negative on the other.
        part: thickness of the frame as a fraction of the short side.

    Returns:
        (h, w) float32 in [0, 1].
    """
    height, width = values.shape
    frame = values[frame_of(height, width, part)]
    if (frame > 0).mean() > 0.5:
        values = -values
    return range_to_one(values)


@FOREGROUND_SOURCES.register_module()
class FeatureCut(ForegroundSource):
    """The normalised cut of the trained model's features and the photo's colours.

    Args:
        finer: factor by which the cells are finer than the feature map; reduced for maps that
            would have more than 6,000 cells.
        colour_share: share of the colour links in the weight of all links.

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
        self.needs_inputs = finer > 1
        self.colour_share = colour_share

    def __call__(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return (finer * h, finer * w) for a feature map (h, w); zeros for a uniform photo."""
        cells = photo.features[0, 0].numel()
        finer = max(1, min(self.finer, math.isqrt(_MOST_CELLS // cells)))
        found = photo.features
        if finer > 1:
            model, inputs = photo.require_model()
            found = finer_features(partial(deepest_map, model), inputs, finer)
        features = found[0].permute(1, 2, 0).cpu().numpy()
        height, width = features.shape[:2]
        small = cv2.resize(photo.image, (width, height), interpolation=cv2.INTER_AREA)
        lab = to_lab(np.asarray(small, np.uint8))
        # Features of a photo of one colour only differ by the padding at its edges.
        if has_one_colour(lab):
            return np.zeros((height, width), np.float32)
        return oriented_by_frame(normalised_cut(features, lab, self.colour_share))
