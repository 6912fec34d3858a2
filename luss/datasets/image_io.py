"""Strict reading of photos: an incomplete or unknown file is an error that names it."""

import contextlib
import functools
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError, features

from luss.errors import LussError

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "ImageHeader",
    "TooLargeImageError",
    "UnreadableImageError",
    "image_header",
    "open_image",
    "read_image",
    "split_suffix",
]

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".gif"}
    | {".ppm", ".pgm", ".pnm"}
    | ({".webp"} if features.check("webp") else set())
    | ({".avif"} if "avif" in features.modules and features.check("avif") else set())
    | ({".jp2"} if features.check("jpg_2000") else set())
)
"""Lower-case suffixes of photos that the installed PIL reads."""

MAX_PIXELS = 100_000_000
"""Limit of pixels; masks of larger photos would take gigabytes and minutes."""

_MAX_SIDE = 1_000_000
"""Longest side of a mask that OpenCV writes."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> operation that undoes it."""

_SIXTEEN_BIT_AT_MOST = ("PNG", "PPM")
"""Formats whose 16-bit grey PIL returns as 32-bit integers."""


_REMEMBERED = 1 << 16
"""Number of photos whose headers a process keeps, about 30 MB."""

_ORIENTATION_IN = ("exif", "Raw profile type exif", "XML:com.adobe.xmp")
"""Keys of a PNG's orientation; without them, PIL would decode the file to search for it."""


@dataclass(frozen=True)
class ImageHeader:
    """Contents of a photo's header.

    Attributes:
        shape: height and width of the photo as it is stored.
        turned: whether its EXIF orientation turns or mirrors it. False for TIFF, which PIL always
            turns.
        deep: whether it has 16 bits per channel, of which the upper 8 are used.
    """

    shape: tuple[int, int]
    turned: bool
    deep: bool


class UnreadableImageError(LussError):
    """An image file is missing, truncated, too large or of an unknown format."""


class TooLargeImageError(UnreadableImageError):
    """An image has more than `MAX_PIXELS` pixels or too long a side."""


def open_image(path: str | os.PathLike, upright: bool = False) -> Image.Image:
    """Decode a complete photo as RGB.

    OpenCV would return a full array for a truncated JPEG. Grey, CMYK and palette photos are
    converted, transparency becomes white, and only the first picture of an animation or of several
    pages is read. 16-bit grey is reduced to 8 bits, floating-point values must lie in 0..1, and
    32-bit integers are rejected, since their range is unknown.

    Args:
        path: a regular file of any format that PIL reads.
        upright: apply the EXIF orientation. Masks fit the photo as it is stored. PIL always turns
            TIFF files.

    Returns:
        The loaded PIL image of mode RGB.

    Raises:
        UnreadableImageError: if the file is missing, truncated, too large or unreadable.
    """
    with _opened(path) as image:
        image.load()
        kind = image.format
        return _as_rgb(_turned(image) if upright else image, kind)


def read_image(path: str | os.PathLike, upright: bool = False) -> NDArray[np.uint8]:
    """Decode a complete photo, see ``open_image``.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    return np.array(open_image(path, upright))


def image_header(path: str | os.PathLike) -> ImageHeader:
    """Return the header of a photo without decoding it; a process reads an unchanged file once.

    Raises:
        UnreadableImageError: if the file is missing, too large or of an unknown format.
    """
    try:
        status = Path(path).stat()
    except OSError as error:
        raise UnreadableImageError(
            f"cannot read the image {path}: {error}. Replace or remove the file"
        ) from error
    return _header(os.fspath(path), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=_REMEMBERED)
def _header(path: str, size: int, changed: int) -> ImageHeader:
    with _opened(path) as image:
        readable = image.format != "PNG" or not image.info.keys().isdisjoint(_ORIENTATION_IN)
        turned = image.format != "TIFF" and readable and _orientation(image) in _TURNS
        return ImageHeader((image.height, image.width), turned, _is_deep(image))


def split_suffix(name: str) -> tuple[str, str]:
    """Split 'folder/photo.JPEG' into 'folder/photo' and '.jpeg'."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, f".{suffix.lower()}") if dot else (name, "")


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Image.Image]:
    """Open a photo; any exception, also in the body, becomes an error that names the file."""
    try:
        # Opening a named pipe would block forever.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ValueError("it is not a regular file")
        # PIL memory-maps uncompressed TIFF files given by path and garbles turned ones.
        with warnings.catch_warnings(), Path(path).open("rb") as file:
            # MAX_PIXELS replaces PIL's limit; damaged but readable files are read.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            image = Image.open(file)
            if image.width * image.height > MAX_PIXELS or max(image.size) > _MAX_SIDE:
                raise TooLargeImageError(
                    f"the image {path} has {image.width} x {image.height} pixels (width x "
                    f"height). At most {MAX_PIXELS // 10**6} megapixels and {_MAX_SIDE} pixels per "
                    "side are allowed; make it smaller"
                )
            yield image
    except TooLargeImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            f"cannot read the image {path}: the installed Pillow does not know its format. Replace "
            "or remove the file"
        ) from error
    except Image.DecompressionBombError as error:
        raise TooLargeImageError(
            f"the image {path} is too large; at most {MAX_PIXELS // 10**6} megapixels are allowed. "
            "Make it smaller"
        ) from error
    # Damaged files raise OSError, SyntaxError, ValueError, struct.error ...
    except Exception as error:
        raise UnreadableImageError(
            f"cannot read the image {path}: {error}. Replace or remove the file"
        ) from error


def _turned(image: Image.Image) -> Image.Image:
    """Turn a photo upright; return it unchanged if its EXIF data are damaged."""
    orientation = _orientation(image)
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _orientation(image: Image.Image) -> int | None:
    """Return the EXIF orientation; None if it is missing or damaged."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        return None


def _is_deep(image: Image.Image) -> bool:
    """Return whether an image that is not loaded yet has 16 bits per channel."""
    if image.mode.startswith("I;16") or (
        image.mode == "I" and image.format in _SIXTEEN_BIT_AT_MOST
    ):
        return True
    # PIL reduces 16-bit colours to 8 bits; only the decoder's raw mode still shows it.
    tiles = getattr(image, "tile", None)
    arguments = tiles[0].args if tiles else ()
    raw = arguments if isinstance(arguments, str) else next(iter(arguments or ()), "")
    return isinstance(raw, str) and ";16" in raw


def _as_rgb(image: Image.Image, kind: str | None) -> Image.Image:
    """Convert a loaded image of the format ``kind``."""
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in _SIXTEEN_BIT_AT_MOST):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode == "I":
        raise ValueError("it contains 32-bit integers, whose range is unknown")
    elif image.mode == "F":
        values = np.asarray(image)
        # Comparisons with NaN are false.
        if not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(
                f"it contains floating-point values from {values.min():g} to {values.max():g}, "
                "expected 0 to 1"
            )
        image = Image.fromarray(np.rint(values * 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        transparent = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, transparent)
    return image.convert("RGB")
