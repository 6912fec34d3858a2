"""Region contrast (Cheng et al., Global Contrast based Salient Region Detection, TPAMI 2015).

The unsupervised saliency used as shape prior of PASS_p+RC (table 5, reference 118): a region is
salient if its colours differ from those of other regions, especially near and large ones, and if it
is near the photo's centre. Written from the paper's description; distances between regions are
squared, as in the authors' code. docs/foreground.md lists the differences from that code.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luss.label_generation.foreground.colours import scaled_to_one, to_lab

__all__ = ["region_contrast"]

_LEVELS = 12
_KEPT = 0.95
_CENTRE_FALL = 9.0
_SMOOTHED_OVER = 0.1
_SMALLEST_PART = 400


@dataclass(frozen=True)
class _Palette:
    """A photo quantised to few colours.

    Attributes:
        index: (H, W) int, each pixel's colour.
        distances: (K, K) float64, in Lab.
    """

    index: NDArray[np.intp]
    distances: NDArray[np.float64]


def region_contrast(
    image: NDArray[np.uint8],
    spatial: float = 0.4,
    segment_scale: float = 50.0,
    near_centre: bool = True,
) -> NDArray[np.float32]:
    """Compute the saliency of each region by its colours.

    Args:
        image: (H, W, 3) uint8 RGB.
        spatial: sigma_s^2 of the paper, which divides squared distances between the centres of
            regions, in sides of the photo; larger values give distant regions more weight.
        segment_scale: of the graph-based segmentation; larger values give larger regions.
        near_centre: whether to prefer regions near the centre, as in the paper.

    Returns:
        (H, W) float32 in [0, 1], 1 at the most salient pixels; 0 everywhere in a photo of one
        colour.

    Raises:
        ImportError: if scikit-image is not installed.
    """
    # scikit-image is an optional dependency.
    from skimage.segmentation import felzenszwalb

    height, width = image.shape[:2]
    palette = _few_colours(image)
    smallest = max(10, height * width // _SMALLEST_PART)
    regions = felzenszwalb(image, scale=segment_scale, sigma=0.5, min_size=smallest)
    flat, areas = regions.ravel(), np.bincount(regions.ravel())
    y, x = ((np.arange(side) + 0.5) / side for side in (height, width))
    places = np.stack(np.broadcast_arrays(x, y[:, None]), axis=-1).reshape(-1, 2)
    centres = np.stack([np.bincount(flat, axis) / areas for axis in places.T], axis=1)

    histograms = np.zeros((len(areas), len(palette.distances)))
    np.add.at(histograms, (flat, palette.index.ravel()), 1)
    histograms /= areas[:, None]
    contrast = histograms @ palette.distances @ histograms.T
    apart = np.square(centres[:, None] - centres).sum(axis=2)
    weights = np.exp(-apart / spatial) * areas
    np.fill_diagonal(weights, 0)
    saliency = (weights * contrast).sum(axis=1)
    if near_centre:
        from_centre = np.bincount(flat, np.linalg.norm(places - 0.5, axis=1)) / areas
        saliency = saliency * np.exp(-_CENTRE_FALL * np.square(from_centre))
    by_region = saliency[regions]
    return scaled_to_one((by_region + _smoothed_by_colour(by_region, palette)) / 2)


def _few_colours(image: NDArray[np.uint8]) -> _Palette:
    """Quantise to 12 levels per channel; replace rare colours by the nearest frequent ones."""
    levels = image.astype(np.intp) * _LEVELS // 256
    codes = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    _, index, counts = np.unique(codes, return_inverse=True, return_counts=True)
    index = index.reshape(codes.shape)
    colours = _mean_by(index, to_lab(image).astype(np.float64), len(counts))
    by_count = np.argsort(-counts, kind="stable")
    enough = np.searchsorted(np.cumsum(counts[by_count]), _KEPT * counts.sum()) + 1
    kept = by_count[:enough]
    nearest = np.linalg.norm(colours[:, None] - colours[kept], axis=2).argmin(axis=1)
    index = nearest[index]
    colours = _mean_by(index, to_lab(image).astype(np.float64), len(kept))
    return _Palette(index, np.linalg.norm(colours[:, None] - colours, axis=2))


def _smoothed_by_colour(saliency: NDArray[np.float64], palette: _Palette) -> NDArray[np.float64]:
    """Replace the saliency of each colour by the weighted mean of the most similar colours."""
    count = len(palette.distances)
    of_colour = _mean_by(palette.index, saliency[..., None], count)[:, 0]
    neighbours = min(count, max(2, round(_SMOOTHED_OVER * count)))
    order = np.argsort(palette.distances, axis=1, kind="stable")[:, :neighbours]
    distances = np.take_along_axis(palette.distances, order, axis=1)
    weights = distances.sum(axis=1, keepdims=True) - distances
    totals = weights.sum(axis=1)
    smoothed = (weights * of_colour[order]).sum(axis=1) / np.where(totals > 0, totals, 1)
    return np.where(totals > 0, smoothed, of_colour)[palette.index]


def _mean_by(
    index: NDArray[np.intp], values: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Compute the mean (count, D) of the values (H, W, D) of each index."""
    flat = index.ravel()
    sizes = np.maximum(np.bincount(flat, minlength=count), 1)
    channels = np.moveaxis(values, -1, 0)
    return np.stack([np.bincount(flat, c.ravel(), count) / sizes for c in channels], axis=1)
