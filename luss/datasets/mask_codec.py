"""The mask encoding of ImageNet-S: an RGB PNG whose class id is R + 256 G.

0 is 'other', 1..C are the classes, 1000 is ignored in evaluation.
"""

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.files import atomic_write

__all__ = ["IGNORE_ID", "decode_mask", "encode_mask", "read_mask", "write_mask"]

IGNORE_ID = 1000

_LARGEST_ID = 0xFFFF
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BIT_DEPTH_AT, _COLOUR_TYPE_AT = 24, 25
_GREY_WITH_ALPHA = 4


def encode_mask(ids: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Turn class ids into the colours of the official encoding.

    Args:
        ids: (H, W) integers from 0 to 65535.

    Returns:
        (H, W, 3) uint8 RGB, with R = id mod 256, G = id div 256 and B = 0.

    Raises:
        LussError: if ``ids`` is no two-dimensional integer array of that range.
    """
    if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer):
        raise LussError(f"a mask is an (H, W) integer array, got {ids.shape} of {ids.dtype}")
    if ids.size and not (ids.min() >= 0 and ids.max() <= _LARGEST_ID):
        raise LussError(
            f"class ids from {ids.min()} to {ids.max()} cannot be encoded as R + 256 G; "
            f"they must lie in 0..{_LARGEST_ID}"
        )
    rgb = np.zeros((*ids.shape, 3), np.uint8)
    rgb[..., 0] = ids & 0xFF
    rgb[..., 1] = ids >> 8
    return rgb


def decode_mask(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Turn colours of the official encoding into class ids; the blue channel is not looked at.

    Args:
        rgb: (H, W, 3) uint8 RGB.

    Returns:
        (H, W) int32 ids, R + 256 G.

    Raises:
        LussError: if ``rgb`` has another shape or type.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise LussError(f"an encoded mask is (H, W, 3) uint8, got {rgb.shape} of {rgb.dtype}")
    return _join(rgb[..., 0], rgb[..., 1])


def read_mask(path: str | os.PathLike) -> NDArray[np.int32]:
    """Read a mask PNG: colours as R + 256 G, a single channel (1 to 16 bit) as plain ids.

    Args:
        path: the PNG file.

    Returns:
        (H, W) int32 ids.

    Raises:
        LussError: if the file is missing, damaged, no PNG, or coloured otherwise (blue not 0,
            16 bit a colour).
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise LussError(f"cannot read the mask {path}: {error.strerror}") from error
    if not content.startswith(_SIGNATURE) or len(content) <= _COLOUR_TYPE_AT:
        raise LussError(f"the mask {path} is not a PNG file; save masks as PNG")
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise LussError(
            f"the mask {path} is damaged or cut short and cannot be decoded; fetch it again"
        )
    depth = content[_BIT_DEPTH_AT]
    if pixels.ndim == 2:
        # OpenCV stretches 1, 2 and 4 bit to the full range of 8 bit.
        step = 255 // (2**depth - 1) if depth < 8 else 1
        return pixels.astype(np.int32) // step
    if content[_COLOUR_TYPE_AT] == _GREY_WITH_ALPHA:
        return pixels[..., 0].astype(np.int32)
    if pixels.dtype != np.uint8:
        raise LussError(
            f"the mask {path} has 16 bit a colour; expected 8 bit RGB with id = R + 256 G, "
            "or a single channel of ids"
        )
    if pixels[..., 0].any():
        raise LussError(
            f"the mask {path} has blue in it, as a picture of a mask has; expected the encoding "
            "id = R + 256 G with B = 0, or a single channel of ids"
        )
    return _join(pixels[..., 2], pixels[..., 1])


def write_mask(path: str | os.PathLike, ids: NDArray[np.integer]) -> None:
    """Write a mask as RGB PNG in the official encoding, whole or not at all.

    Args:
        path: the PNG file; its folder is created.
        ids: (H, W) integers from 0 to 65535.

    Raises:
        LussError: as ``encode_mask``.
    """
    bgr = encode_mask(ids)[..., ::-1]
    _, content = cv2.imencode(".png", bgr)
    with atomic_write(path) as file:
        file.write(content.tobytes())


def _join(low: NDArray[np.uint8], high: NDArray[np.uint8]) -> NDArray[np.int32]:
    ids = high.astype(np.int32)
    ids <<= 8
    ids |= low
    return ids
