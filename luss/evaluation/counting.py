"""Counts of one image, from which all metrics and matches are computed.

One pass over the pixels joins both ids and both boundaries of a pixel into one integer; the rest is
arithmetic on the few distinct integers. The definitions are those of ImageNet-S (paper, section
3.2.2) and its released evaluator.
"""

import numpy as np

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.evaluation.boundary import boundary_width, dilate
from luss.evaluation.counts import F_BETA_UNIT, SIZE_GROUPS, SIZE_LIMITS, ImageCounts

__all__ = ["count_image"]

# A pixel's key: predicted id, true id, predicted boundary, true boundary.
_PREDICTED_SHIFT, _TRUE_SHIFT = 12, 2
_TRUE_BITS = 0x3FF << _TRUE_SHIFT
_LARGEST_PREDICTED = 0xFFFF


def count_image(
    prediction: np.ndarray,
    truth: np.ndarray,
    num_classes: int,
    num_generated: int | None = None,
    boundary: bool = True,
) -> ImageCounts:
    """Count one image; drop pixels with the true id ``IGNORE_ID`` after computing boundaries.

    Args:
        prediction: (H, W) integer ids 0..G, 0 is 'other'.
        truth: (H, W) integer ids 0..C or ``IGNORE_ID``.
        num_classes: C.
        num_generated: G, by default C.
        boundary: whether to count boundaries.

    Raises:
        LussError: if shapes, types or ids do not fit.
    """
    generated = num_classes if num_generated is None else num_generated
    key = _join_ids(prediction, truth)
    if boundary:
        key |= _boundary_bits(key)
    key, count = _tally(key.reshape(-1))
    predicted, true = key >> _PREDICTED_SHIFT, (key & _TRUE_BITS) >> _TRUE_SHIFT
    if predicted.max(initial=0) > generated:
        raise LussError(
            f"the prediction contains the id {predicted.max()}, expected 0..{generated}. Check the "
            "number of classes"
        )
    kept = true != IGNORE_ID
    occurring = np.flatnonzero(np.bincount(predicted if boundary else predicted[kept]))
    key, count, predicted, true = key[kept], count[kept], predicted[kept], true[kept]
    if true.max(initial=0) > num_classes:
        raise LussError(
            f"the truth contains the id {true.max()}, expected 0..{num_classes} or {IGNORE_ID}. "
            "Check the number of classes"
        )

    predicted_area = np.bincount(predicted, count, generated + 1).astype(np.int64)
    true_area = np.bincount(true, count, num_classes + 1).astype(np.int64)
    true_ids = np.flatnonzero(true_area[1:]) + 1
    group_of = np.zeros(num_classes + 1, np.int64)
    percent = -(-100 * true_area[true_ids] // true_area.sum())
    group_of[true_ids] = 1 + np.searchsorted(SIZE_LIMITS, percent)

    overlap = count[(predicted > 0) & (true > 0)].sum()
    foreground = predicted_area[1:].sum(), true_area[1:].sum()
    largest = predicted_area[1:].max(initial=0)
    shape = (1 + boundary, 1 + len(SIZE_GROUPS), generated + 2, num_classes + 2)
    index, count = _place(key, count, predicted, true, group_of, shape)
    return ImageCounts(
        shape=shape,
        index=index,
        count=count,
        occurring=occurring,
        predicted=np.flatnonzero(predicted_area[1:]) + 1,
        true=true_ids,
        top=np.flatnonzero(predicted_area[1:] == largest) + 1 if largest else true_ids[:0],
        f_beta=_f_beta(int(overlap), int(foreground[0]), int(foreground[1])),
    )


def _join_ids(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return (H, W) uint32 keys of both ids, with two free bits."""
    if prediction.ndim != 2 or prediction.shape != truth.shape:
        raise LussError(
            f"the prediction has the shape {prediction.shape}, but the truth has {truth.shape}. "
            "Predict (height, width) at the image's original resolution"
        )
    for name, ids, limit in (
        ("prediction", prediction, _LARGEST_PREDICTED),
        ("truth", truth, IGNORE_ID),
    ):
        if ids.dtype.kind not in "iu":
            raise LussError(f"the {name} has the type {ids.dtype}. Expected integer ids")
        if ids.size and (ids.max() > limit or (ids.dtype.kind == "i" and ids.min() < 0)):
            raise LussError(
                f"the {name} contains ids in {ids.min()}..{ids.max()}. Expected 0..{limit}"
            )
    key = prediction.astype(np.uint32)
    key <<= _PREDICTED_SHIFT - _TRUE_SHIFT
    key |= truth.astype(np.uint32)
    key <<= _TRUE_SHIFT
    return key


def _boundary_bits(key: np.ndarray) -> np.ndarray:
    """Return (H, W) uint8: bit 1 for the prediction's boundary, bit 0 for the truth's."""
    corner = key[:-1, :-1]
    change = corner ^ key[:-1, 1:]
    change |= corner ^ key[1:, :-1]
    change |= corner ^ key[1:, 1:]
    mixed = (change >= 1 << _PREDICTED_SHIFT).view(np.uint8) << 1
    mixed |= ((change & _TRUE_BITS) != 0).view(np.uint8)
    return dilate(mixed, boundary_width(*key.shape), border=3)


def _tally(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct keys, ascending, as int64, and how often each occurs.

    Masks consist of regions, so few runs of equal keys remain to sort.
    """
    if not key.size:
        return key.astype(np.int64), key.astype(np.int64)
    start = np.concatenate([[0], np.flatnonzero(key[1:] != key[:-1]) + 1])
    # Key and length in one integer: a plain sort is several times faster than an argsort.
    run = key[start].astype(np.uint64) << np.uint64(32)
    run |= np.diff(start, append=key.size).astype(np.uint64)
    run.sort()
    keys = (run >> np.uint64(32)).astype(np.int64)
    first = np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1])
    return keys[first], np.add.reduceat((run & np.uint64(0xFFFFFFFF)).astype(np.int64), first)


def _place(
    key: np.ndarray,
    count: np.ndarray,
    predicted: np.ndarray,
    true: np.ndarray,
    group_of: np.ndarray,
    shape: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct positions in the flat confusion of ``shape`` and the pixels at each.

    A pixel counts in the total and in its true class's group; a pixel of true 'other' counts in
    every group of the image.
    """
    whole = np.zeros_like(true)
    groups = np.unique(group_of)[1:]
    inside, other = np.flatnonzero(true), np.flatnonzero(true == 0)
    entry = np.concatenate([np.arange(len(true)), inside, np.tile(other, len(groups))])
    group = np.concatenate([whole, group_of[true[inside]], np.repeat(groups, len(other))])
    key, count, predicted, true = key[entry], count[entry], predicted[entry], true[entry]
    _, slots, rows, columns = shape
    index = (group * rows + predicted) * columns + true
    if shape[0] == 2:
        row = np.where(key & 2, predicted, rows - 1)
        column = np.where(key & 1, true, columns - 1)
        edge = np.flatnonzero(key & 3)
        of_boundary = ((slots + group) * rows + row) * columns + column
        index = np.concatenate([index, of_boundary[edge]])
        count = np.concatenate([count, count[edge]])
    index, code = np.unique(index, return_inverse=True)
    return index, np.bincount(code, count).astype(np.int64)


def _f_beta(overlap: int, predicted: int, true: int) -> int:
    """Return F_beta with beta^2 = 0.3 of foreground areas, in units of 1 / `F_BETA_UNIT`.

    1.3 P R / (0.3 P + R) with P = overlap / predicted and R = overlap / true is
    1.3 overlap / (0.3 true + predicted); integers keep it exact.
    """
    if not overlap:
        return 0
    return (13 * overlap * F_BETA_UNIT) // (3 * true + 10 * predicted)
