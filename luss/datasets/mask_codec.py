"""The mask encoding of ImageNet-S: an RGB PNG whose class id is R + 256 G.

0 is 'other', 1..C are the classes, 1000 is ignored in evaluation. Masks of other data sets may be
pictures with a palette, or of one channel, in which 255 is ignored: they are read, never written.
"""

import contextlib
import io
import math
import os
import stat
import struct
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from luss.errors import LussError
from luss.files import atomic_write

__all__ = [
    "IGNORE_ID",
    "INDEX_HINT",
    "LARGEST_MASK",
    "PNG_HEAD",
    "MaskEncoding",
    "check_png",
    "check_shift",
    "check_size",
    "decode_mask",
    "encode_mask",
    "has_palette",
    "ignored_value",
    "open_mask",
    "parse_mask",
    "read_item_mask",
    "read_mask",
    "shift_ids",
    "write_mask",
]

IGNORE_ID = 1000

LARGEST_MASK = 178_956_970
"""Pixels of the largest mask that is read: those of the largest photo that PIL reads."""

PNG_HEAD = 26
"""Bytes of a PNG that tell its size and kind of pixels."""

MaskEncoding = Literal["rgb", "index"]
"""``rgb``: colours as R + 256 G, or one channel of ids; 1000 is ignored. ``index``: a palette's
indices, or one channel of ids, of which 255 is ignored; colours are taken as with ``rgb``."""

INDEX_HINT = "read such masks with mask_encoding='index' (tools/evaluate.py: --encoding index)"
"""What to do about masks whose ids are indices of a palette, or of which 255 is ignored."""

_IGNORED_INDEX = 255
_LARGEST_ID = 0xFFFF
_SIGNATURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_SIZE_AT = 16
_ALLOWANCE = 1 << 24
_BIT_DEPTH_AT, _COLOUR_TYPE_AT = 24, 25
_GREY = 0
_PALETTE = 3
_GREY_WITH_ALPHA = 4


def ignored_value(encoding: MaskEncoding) -> int:
    """Return the value that stands for 'ignore' in the files of masks."""
    return _IGNORED_INDEX if encoding == "index" else IGNORE_ID


def check_shift(shift: Any) -> int:
    """Return the setting ``mask_id_shift``, refusing what is no number of ids."""
    if isinstance(shift, bool) or not isinstance(shift, int):
        raise LussError(
            f"mask_id_shift is {shift!r}; expected a whole number that is added to all ids of the "
            "masks, such as 1"
        )
    return shift


def shift_ids(ids: NDArray[np.integer], shift: int) -> NDArray[np.integer]:
    """Add ``shift`` to all ids but `IGNORE_ID`; the array itself is changed."""
    if shift:
        ids[ids != IGNORE_ID] += shift
    return ids


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


def check_png(head: bytes, name: str | os.PathLike) -> int:
    """Refuse what is no PNG, or a mask of more pixels than any photo has, before it is decoded.

    Args:
        head: the file's first `PNG_HEAD` bytes, or more.
        name: of the mask, for messages.

    Returns:
        The largest number of bytes that such a file may have.

    Raises:
        LussError: if it is no PNG, or too large.
    """
    if not head.startswith(_SIGNATURE) or len(head) < PNG_HEAD:
        raise LussError(f"the mask {name} is not a PNG file; save masks as PNG")
    width, height = struct.unpack(">II", head[_SIZE_AT : _SIZE_AT + 8])
    check_size((height, width), name)
    # 8 bytes are the most that a pixel takes; compressing adds less than the allowance.
    return 8 * width * height + _ALLOWANCE


def check_size(shape: tuple[int, ...], name: str | os.PathLike) -> None:
    """Refuse a mask without pixels, or of more than `LARGEST_MASK`, before it takes memory.

    Args:
        shape: (height, width), as its file declares it.
        name: of the mask, for messages.
    """
    if not 0 < math.prod(shape) <= LARGEST_MASK:
        raise LussError(
            f"the mask {name} declares {' x '.join(map(str, shape))} pixels (height x width); "
            f"expected 1 to {LARGEST_MASK:,} in all"
        )


def has_palette(path: str | os.PathLike) -> bool:
    """Return whether a mask's file is a PNG with a palette."""
    with open_mask(path) as file:
        head = file.read(PNG_HEAD)
    return head.startswith(_SIGNATURE) and head[_COLOUR_TYPE_AT:][:1] == bytes([_PALETTE])


@contextlib.contextmanager
def open_mask(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a mask's file for reading; no pipe or device, which may never end.

    Raises:
        LussError: if it cannot be read.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise LussError(f"cannot read the mask {path}: it is no regular file")
        with Path(path).open("rb") as file:
            yield file
    except OSError as error:
        raise LussError(f"cannot read the mask {path}: {error.strerror or error}") from error


def read_item_mask(item: Mapping[str, Any]) -> NDArray[np.int32]:
    """Read ``seg_map_path`` of a data set's item as its ``mask_encoding`` says, by default ``rgb``.

    ``mask_id_shift`` is added to the ids, by default 0.

    Raises:
        LussError: as :func:`read_mask`.
    """
    ids = read_mask(item["seg_map_path"], item.get("mask_encoding", "rgb"))
    return shift_ids(ids, item.get("mask_id_shift", 0))


def read_mask(path: str | os.PathLike, encoding: MaskEncoding = "rgb") -> NDArray[np.int32]:
    """Read a mask PNG; see `parse_mask`.

    Raises:
        LussError: if the file is missing, or no such mask.
    """
    with open_mask(path) as file:
        head = file.read(PNG_HEAD)
        # Asked for a number of bytes, read() would take memory for all of them first.
        size = min(os.fstat(file.fileno()).st_size, check_png(head, path) + 1)
        content = head + file.read(size)
    return parse_mask(content, path, encoding)


def parse_mask(
    content: bytes, name: str | os.PathLike, encoding: MaskEncoding = "rgb"
) -> NDArray[np.int32]:
    """Decode a mask PNG: colours as R + 256 G, a single channel (1 to 16 bit) as plain ids.

    Args:
        content: of the file.
        name: of the mask, for messages.
        encoding: ``index`` also takes palettes, and 255 for 'ignore'.

    Returns:
        (H, W) int32 ids, `IGNORE_ID` where ignored.

    Raises:
        LussError: if it is damaged, no PNG, too large, or coloured otherwise (blue not 0, 16 bit
            a colour).
    """
    if encoding not in get_args(MaskEncoding):
        raise LussError(f"masks are encoded as 'rgb' or 'index', got mask_encoding={encoding!r}")
    if len(content) > check_png(content, name):
        raise LussError(f"the mask {name} has more bytes than its pixels can take")
    if encoding == "rgb":
        return _parse_ids(content, name)
    kind = content[_COLOUR_TYPE_AT]
    ids = _palette_indices(content, name) if kind == _PALETTE else _parse_ids(content, name)
    if kind in (_GREY, _PALETTE, _GREY_WITH_ALPHA):
        ids[ids == _IGNORED_INDEX] = IGNORE_ID
    return ids


def _palette_indices(content: bytes, name: str | os.PathLike) -> NDArray[np.int32]:
    """Indices of a picture with a palette; OpenCV would give colours."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as image:
            # There is an own limit of pixels.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            return np.array(image, np.int32)
    # Damaged files raise OSError, SyntaxError, ValueError, struct.error ...
    except Exception as error:
        raise _damaged(name) from error


def _damaged(name: str | os.PathLike) -> LussError:
    return LussError(
        f"the mask {name} is damaged or cut short and cannot be decoded; fetch or make it again"
    )


def _parse_ids(content: bytes, name: str | os.PathLike) -> NDArray[np.int32]:
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        # OpenCV has limits of its own on width and height.
        pixels = None
    if pixels is None:
        raise _damaged(name)
    depth = content[_BIT_DEPTH_AT]
    if pixels.ndim == 2:
        # OpenCV stretches 1, 2 and 4 bit to the full range of 8 bit.
        step = 255 // (2**depth - 1) if depth < 8 else 1
        return pixels.astype(np.int32) // step
    if content[_COLOUR_TYPE_AT] == _GREY_WITH_ALPHA:
        return pixels[..., 0].astype(np.int32)
    if pixels.dtype != np.uint8:
        raise LussError(
            f"the mask {name} has 16 bit a colour; expected 8 bit RGB with id = R + 256 G, "
            "or a single channel of ids"
        )
    if pixels[..., 0].any():
        # Programs that make PNG files smaller give true RGB masks a palette, too.
        if content[_COLOUR_TYPE_AT] == _PALETTE:
            raise LussError(
                f"the mask {name} has a palette whose colours are not id = R + 256 G, so its "
                f"indices are the ids; {INDEX_HINT}, or save the indices as one channel"
            )
        raise LussError(
            f"the mask {name} has blue in it, as a picture of a mask has; expected the encoding "
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
