"""COCO's compressed run-length encoding of masks."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["encode_rle"]

_BITS = 5
_MORE = 1 << _BITS
_SIGN = 1 << (_BITS - 1)
_FIRST_CHARACTER = 48
_GROUPS = 7
"""Groups of five bits that the difference of two lengths below 2 ** 31 may need."""


def encode_rle(mask: NDArray[np.bool_]) -> dict:
    """Encode a binary mask as compressed run lengths for ``pycocotools.mask.decode``.

    Pixels are counted down the columns. The first run counts pixels outside the mask and may be
    empty. From the fourth run on, the difference from the run two places before is written. Each
    number is split into groups of five bits, lowest first, written as characters from '0' on; a
    sixth bit marks that another group follows.

    Args:
        mask: (H, W) bool.

    Returns:
        ``size``: [H, W], and ``counts``: text.
    """
    flat = np.ravel(mask, order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = [0, 0] if flat.size and flat[0] else [0]
    runs = np.diff(np.concatenate((starts, changes, [flat.size])))
    height, width = mask.shape
    return {"size": [height, width], "counts": _text(runs)}


def _text(runs: NDArray[np.int64]) -> str:
    left = runs.copy()
    left[3:] -= runs[1:-2]
    characters = np.zeros((len(runs), _GROUPS), np.uint8)
    open_ = np.ones(len(runs), bool)
    for group in range(_GROUPS):
        bits = left & (_MORE - 1)
        left >>= _BITS
        # A number ends where the rest repeats the sign of the bits that were written.
        more = left != np.where(bits & _SIGN, -1, 0)
        characters[:, group] = np.where(open_, bits + _FIRST_CHARACTER + more * _MORE, 0)
        open_ &= more
    return characters[characters > 0].tobytes().decode("ascii")
