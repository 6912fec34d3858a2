"""Area and score of each category in a photo."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luss.apis.categories import WrittenCategories
from luss.errors import LussError

__all__ = ["FoundCategory", "areas_and_scores", "found_categories"]


@dataclass(frozen=True)
class FoundCategory:
    """A category in a photo.

    Attributes:
        id: the written id.
        name: of the category.
        area: fraction of the photo's pixels, above 0.
        score: mean probability of these pixels, in 0..1.
    """

    id: int
    name: str
    area: float
    score: float


def found_categories(
    ids: NDArray[np.integer], logits: NDArray[np.float32], categories: WrittenCategories
) -> list[FoundCategory]:
    """Return the categories in a photo without 'other', the largest first.

    Args:
        ids: (H, W) predicted ids.
        logits: (C + 1, h, w), see :func:`areas_and_scores`.
        categories: the written ids.
    """
    areas, scores = areas_and_scores(ids, logits)
    written = np.bincount(categories.ids, weights=areas)
    sums = np.bincount(categories.ids, weights=areas * scores)
    found = np.flatnonzero(written[1:]) + 1
    largest_first = found[np.argsort(-written[found], kind="stable")].tolist()
    return [
        FoundCategory(
            id=index,
            name=categories.legend.name(index),
            area=float(written[index] / ids.size),
            score=float(sums[index] / written[index]),
        )
        for index in largest_first
    ]


def areas_and_scores(
    ids: NDArray[np.integer], logits: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the number of pixels of each category, and its mean probability in them.

    The probability is the softmax of the logits at their own resolution; a pixel has the
    probability of the cell that contains its centre.

    Args:
        ids: (H, W) in 0..C, of a mask.
        logits: (C + 1, h, w), of the same photo.

    Returns:
        (C + 1,) pixels, and (C + 1,) mean probabilities in 0..1, 0 for categories without pixels.

    Raises:
        LussError: if the mask has other ids.
    """
    if ids.max() >= len(logits):
        raise LussError(
            f"the mask has the id {ids.max()}, but there are {len(logits)} logits; give the logits "
            "of the same mask"
        )
    probabilities = _softmax(logits.astype(np.float64))
    count, rows, columns = logits.shape
    cells = _cell_of(ids.shape[1], columns)[None] * count
    edges = np.searchsorted(_cell_of(len(ids), rows), np.arange(rows + 1))
    areas, sums = np.zeros(count, np.int64), np.zeros(count)
    for row, (top, bottom) in enumerate(itertools.pairwise(edges)):
        if top == bottom:
            continue
        place = (cells + ids[top:bottom]).ravel()
        pixels = np.bincount(place, minlength=columns * count).reshape(columns, count)
        areas += pixels.sum(axis=0)
        sums += (pixels * probabilities[:, row].T).sum(axis=0)
    return areas, sums / np.maximum(areas, 1)


def _cell_of(pixels: int, cells: int) -> NDArray[np.int64]:
    """Return the cell (pixels,) that contains the centre of each pixel along a side."""
    return (2 * np.arange(pixels) + 1) * cells // (2 * pixels)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=0, keepdims=True))
    return powers / powers.sum(axis=0, keepdims=True)
