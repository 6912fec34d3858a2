"""The mask encoding of ImageNet-S: an RGB PNG whose class id is R + 256 G.

0 is 'other', 1..C are the classes, 1000 is ignored in evaluation. Masks of other data sets, with a
palette or one channel and 255 for 'ignore', can be read but not written.
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
"""Pixels of the largest accepted mask, equal to PIL's limit for photos."""

PNG_HEAD = 26
"""Bytes at the start of a PNG that contain its size and pixel format."""

MaskEncoding = Literal["rgb", "index"]
"""``rgb``: colours as R + 256 G, or one channel of ids; 1000 is ignored. ``index``: palette
indices, or one channel of ids; 255 is ignored; colours as in ``rgb``."""

INDEX_HINT = "read such masks with mask_encoding='index' (tools/evaluate.py: --encoding index)"
"""Advice for masks with palette indices, or with 255 for 'ignore'."""

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
    """Return the value of 'ignore' in mask files."""
    return _IGNORED_INDEX if encoding == "index" else IGNORE_ID


def check_shift(shift: Any) -> int:
    """Return the setting ``mask_id_shift`` if it is an integer; raise an error otherwise."""
    if isinstance(shift, bool) or not isinstance(shift, int):
        raise LussError(
            f"mask_id_shift is {shift!r}. Expected an integer to add to all mask ids, such as 1"
        )
    return shift


def shift_ids(ids: NDArray[np.int32], shift: int) -> NDArray[np.int32]:
    """Add ``shift`` in place to all ids except `IGNORE_ID`."""
    if shift:
        ids[ids != IGNORE_ID] += shift
    return ids


def encode_mask(ids: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Encode class ids as colours of the official encoding.

    Args:
        ids: (H, W) integers from 0 to 65535.

    Returns:
        (H, W, 3) uint8 RGB, with R = id mod 256, G = id div 256 and B = 0.

    Raises:
        LussError: if ``ids`` has another shape, type or range.
    """
    if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer):
        raise LussError(f"a mask is an (H, W) integer array, got {ids.shape} of {ids.dtype}")
    if ids.size and not (ids.min() >= 0 and ids.max() <= _LARGEST_ID):
        raise LussError(
            f"class ids from {ids.min()} to {ids.max()} cannot be encoded as R + 256 G. "
            f"Expected ids in 0..{_LARGEST_ID}"
        )
    rgb = np.zeros((*ids.shape, 3), np.uint8)
    rgb[..., 0] = ids & 0xFF
    rgb[..., 1] = ids >> 8
    return rgb


def decode_mask(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Decode colours of the official encoding to class ids, ignoring the blue channel.

    Args:
        rgb: (H, W, 3) uint8 RGB.

    Returns:
        (H, W) int32 ids, R + 256 G.

    Raises:
        LussError: if ``rgb`` has another shape or type.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise LussError(f"an encoded mask is (H, W, 3) uint8, got {rgb.shape} of {rgb.dtype}")
    ids = rgb[..., 1].astype(np.int32)
    ids <<= 8
    ids |= rgb[..., 0]
    return ids


def check_png(head: bytes, name: str | os.PathLike) -> int:
    """Check the head of a mask file and return the largest plausible file size in bytes.

    Args:
        head: the file's first `PNG_HEAD` bytes, or more.
        name: of the mask, for messages.

    Raises:
        LussError: if it is not a PNG, or has more than `LARGEST_MASK` pixels.
    """
    if not head.startswith(_SIGNATURE) or len(head) < PNG_HEAD:
        raise LussError(f"the mask {name} is not a PNG file. Save masks as PNG")
    width, height = struct.unpack(">II", head[_SIZE_AT : _SIZE_AT + 8])
    check_size((height, width), name)
    # A pixel has at most 8 bytes; compression adds less than the allowance.
    return 8 * width * height + _ALLOWANCE


def check_size(shape: tuple[int, ...], name: str | os.PathLike) -> None:
    """Check that a mask has 1 to `LARGEST_MASK` pixels, before memory is allocated.

    Args:
        shape: (height, width), as its file declares it.
        name: of the mask, for messages.

    Raises:
        LussError: if it has none or more.
    """
    if not 0 < math.prod(shape) <= LARGEST_MASK:
        raise LussError(
            f"the mask {name} declares {' x '.join(map(str, shape))} pixels (height x width). "
            f"Expected 1 to {LARGEST_MASK:,} pixels in total"
        )


def has_palette(path: str | os.PathLike) -> bool:
    """Return whether a mask file is a PNG with a palette."""
    with open_mask(path) as file:
        head = file.read(PNG_HEAD)
    return head.startswith(_SIGNATURE) and head[_COLOUR_TYPE_AT:][:1] == bytes([_PALETTE])


@contextlib.contextmanager
def open_mask(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a mask file for reading; reject pipes and devices, which may never end.

    Raises:
        LussError: if it cannot be read.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise LussError(f"cannot read the mask {path}: it is not a regular file")
        with Path(path).open("rb") as file:
            yield file
    except OSError as error:
        raise LussError(f"cannot read the mask {path}: {error.strerror or error}") from error


def read_item_mask(item: Mapping[str, Any]) -> NDArray[np.int32]:
    """Read an item's ``seg_map_path`` with its ``mask_encoding`` and ``mask_id_shift``, if set.

    Raises:
        LussError: see :func:`read_mask`.
    """
    ids = read_mask(item["seg_map_path"], item.get("mask_encoding", "rgb"))
    return shift_ids(ids, item.get("mask_id_shift", 0))


def read_mask(path: str | os.PathLike, encoding: MaskEncoding = "rgb") -> NDArray[np.int32]:
    """Read a mask PNG; see `parse_mask`.

    Raises:
        LussError: if the file is missing or not a valid mask.
    """
    with open_mask(path) as file:
        head = file.read(PNG_HEAD)
        # read(n) allocates n bytes, so n is limited to the size of the file.
        size = min(os.fstat(file.fileno()).st_size, check_png(head, path) + 1)
        content = head + file.read(size)
    return parse_mask(content, path, encoding)


def parse_mask(
    content: bytes, name: str | os.PathLike, encoding: MaskEncoding = "rgb"
) -> NDArray[np.int32]:
    """Decode a mask PNG: colours as R + 256 G, a single channel (1 to 16 bits) as plain ids.

    Args:
        content: of the file.
        name: of the mask, for messages.
        encoding: ``index`` also accepts palettes, and 255 for 'ignore'.

    Returns:
        (H, W) int32 ids, `IGNORE_ID` where ignored.

    Raises:
        LussError: if it is damaged, not a PNG, too large, or uses other colours (blue not 0, 16
            bits per colour).
    """
    if encoding not in get_args(MaskEncoding):
        raise LussError(f"mask_encoding is {encoding!r}. Expected 'rgb' or 'index'")
    if len(content) > check_png(content, name):
        raise LussError(f"the mask {name} has more bytes than its pixels can need. Save it again")
    if encoding == "rgb":
        return _parse_ids(content, name)
    kind = content[_COLOUR_TYPE_AT]
    ids = _palette_indices(content, name) if kind == _PALETTE else _parse_ids(content, name)
    if kind in (_GREY, _PALETTE, _GREY_WITH_ALPHA):
        ids[ids == _IGNORED_INDEX] = IGNORE_ID
    return ids


def _palette_indices(content: bytes, name: str | os.PathLike) -> NDArray[np.int32]:
    """Return the palette indices of a picture; OpenCV would return colours."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as image:
            # LARGEST_MASK replaces PIL's limit.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            return np.array(image, np.int32)
    # Damaged files raise OSError, SyntaxError, ValueError, struct.error ...
    except Exception as error:
        raise _damaged(name) from error


def _damaged(name: str | os.PathLike) -> LussError:
    return LussError(f"the mask {name} is damaged or truncated. Replace it by an intact copy")


def _parse_ids(content: bytes, name: str | os.PathLike) -> NDArray[np.int32]:
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        # OpenCV limits width and height.
        pixels = None
    if pixels is None:
        raise _damaged(name)
    depth = content[_BIT_DEPTH_AT]
    if pixels.ndim == 2:
        # OpenCV stretches 1, 2 and 4 bits to the full range of 8 bits.
        step = 255 // (2**depth - 1) if depth < 8 else 1
        return pixels.astype(np.int32) // step
    if content[_COLOUR_TYPE_AT] == _GREY_WITH_ALPHA:
        return pixels[..., 0].astype(np.int32)
    if pixels.dtype != np.uint8:
        raise LussError(
            f"the mask {name} has 16 bits per colour. Expected 8-bit RGB with id = R + 256 G, "
            "or a single channel of ids"
        )
    if pixels[..., 0].any():
        # PNG optimisers may convert true RGB masks to a palette.
        if content[_COLOUR_TYPE_AT] == _PALETTE:
            raise LussError(
                f"the mask {name} has a palette whose colours are not id = R + 256 G; its indices "
                f"are probably the ids. If so, {INDEX_HINT}, or save the indices as one channel"
            )
        raise LussError(
            f"the mask {name} has a blue channel that is not 0, like a coloured picture of a mask. "
            "Expected id = R + 256 G with B = 0, or a single channel of ids"
        )
    # OpenCV returns BGR or BGRA.
    return decode_mask(np.asarray(pixels[..., 2::-1], np.uint8))


def write_mask(path: str | os.PathLike, ids: NDArray[np.integer]) -> None:
    """Write a mask atomically as RGB PNG in the official encoding.

    Args:
        path: the PNG file; its folder is created.
        ids: (H, W) integers from 0 to 65535.

    Raises:
        LussError: as ``encode_mask``.
    """
    _, content = cv2.imencode(".png", encode_mask(ids)[..., ::-1])
    with atomic_write(path) as file:
        file.write(content.tobytes())
