"""A cut of self-supervised features into two sides, one of which is the foreground.

After TokenCut (Wang et al., CVPR 2022: the second-smallest eigenvector of the normalised Laplacian
of a graph of features) and Deep Spectral Methods (Melas-Kyriazi et al., CVPR 2022: affinity of
colours beside that of features), written from the papers' descriptions. Maps of stride 16 have too
few cells for it: features are taken at a finer stride, from shifted copies of the photo.
"""

from collections.abc import Callable

import cv2
import numpy as np
import scipy.sparse as sparse
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh
from scipy.spatial import cKDTree
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.foreground.colours import frame_of, to_lab
from luss.label_generation.foreground.normalising import range_to_one
from luss.label_generation.foreground.photo import Photo
from luss.label_generation.foreground.source import ForegroundSource
from luss.registry import FOREGROUND_SOURCES

__all__ = ["FeatureCut", "finer_features", "normalised_cut", "oriented_by_frame"]

_LAB_SCALE = 100.0
_COLOUR_NEIGHBOURS = 8
_LINK = 1e-5
"""Weight that keeps the graph in one piece."""


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
    features: NDArray, lab: NDArray, *, neighbours: int = 32, colour_weight: float = 1.0
) -> NDArray[np.float64]:
    """The second-smallest eigenvector of a photo's graph: y of (D - W) y = lambda D y.

    Cells are linked to those of the most similar features, by the cosine where that is positive,
    and to those of the most similar colour and place.

    Args:
        features: (h, w, L).
        lab: (h, w, 3) CIE Lab.
        neighbours: links by features of each cell.
        colour_weight: of a link by colour, against the cosine.

    Returns:
        (h, w), of any sign and scale.

    Raises:
        LussError: if there are fewer than 4 cells.
    """
    height, width = features.shape[:2]
    count = height * width
    if count < 4:
        raise LussError(f"a feature map of {height} x {width} cells cannot be cut")
    weights = _links_by_features(features.reshape(count, -1), neighbours)
    weights = weights + colour_weight * _links_by_colour(lab)
    # A component of its own would be a cut that costs nothing.
    mean = np.full(count, _LINK)
    degrees = np.asarray(weights.sum(axis=1)).ravel() + _LINK * count
    root = 1 / np.sqrt(degrees)
    scaled = sparse.diags(root) @ weights @ sparse.diags(root)

    def product(vector: NDArray) -> NDArray:
        return scaled @ vector + root * mean * (root @ vector)

    operator = sparse.linalg.LinearOperator((count, count), matvec=product, dtype=np.float64)
    # The largest of the normalised affinity are the smallest of the normalised Laplacian.
    start = np.random.default_rng(0).standard_normal(count)
    values, vectors = eigsh(operator, k=2, which="LA", v0=start)
    return (root * vectors[:, np.argsort(values)[0]]).reshape(height, width)


def _links_by_features(features: NDArray, neighbours: int) -> sparse.csr_matrix:
    directions = F.normalize(torch.from_numpy(np.asarray(features, np.float32)), dim=1)
    cosines, places = (directions @ directions.T).topk(min(neighbours + 1, len(directions)), dim=1)
    return _symmetric(cosines.clamp_min(0).double().numpy(), places.numpy())


def _links_by_colour(lab: NDArray) -> sparse.csr_matrix:
    height, width = lab.shape[:2]
    y, x = np.mgrid[:height, :width] / max(height, width)
    points = np.concatenate([lab / _LAB_SCALE, np.stack([y, x], axis=2)], axis=2).reshape(-1, 5)
    distances, places = cKDTree(points).query(points, k=min(_COLOUR_NEIGHBOURS + 1, len(points)))
    return _symmetric(np.exp(-np.square(distances) / 0.02), places)


def _symmetric(weights: NDArray, places: NDArray) -> sparse.csr_matrix:
    """A graph from each cell's links (count, k); without links to itself."""
    count = len(weights)
    rows = np.repeat(np.arange(count), weights.shape[1])
    graph = sparse.csr_matrix((weights.ravel(), (rows, places.ravel())), shape=(count, count))
    graph.setdiag(0)
    return graph.maximum(graph.T)


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
        finer: how many times finer than the feature map's stride the cells are.
        neighbours: links by features of each cell.
        colour_weight: of a link by colour, against the cosine of features.

    Raises:
        LussError: if a setting is out of range.
    """

    needs_model = True

    def __init__(self, finer: int = 2, neighbours: int = 32, colour_weight: float = 1.0) -> None:
        if finer < 1 or neighbours < 1 or colour_weight < 0:
            raise LussError(
                f"FeatureCut: finer {finer} and neighbours {neighbours} must be 1 or more, "
                f"colour_weight {colour_weight} 0 or more"
            )
        self.finer = finer
        self.neighbours = neighbours
        self.colour_weight = colour_weight

    def __call__(self, photo: Photo) -> NDArray[np.float32]:
        """(finer * h, finer * w) of a feature map (h, w)."""
        found = finer_features(photo.features_of, photo.inputs, self.finer)
        features = found[0].permute(1, 2, 0).cpu().numpy()
        height, width = features.shape[:2]
        small = cv2.resize(photo.image, (width, height), interpolation=cv2.INTER_AREA)
        cut = normalised_cut(
            features,
            to_lab(small),
            neighbours=self.neighbours,
            colour_weight=self.colour_weight,
        )
        return oriented_by_frame(cut)
