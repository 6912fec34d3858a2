"""Feature maps of photos in one folder, which are computed once and read by memory mapping.

A folder contains

- ``map_0.npy``, ``map_1.npy``, ...: for each feature map of the backbone, from shallow to deep, the
  cells of all photos one after the other, (cells, L) float16 or float32, those of a photo in
  reading order,
- ``photos.npy``: a structured array of N photos, sorted by ``id`` (UTF-8 bytes): ``photo`` and
  ``image``, height and width of the photo and of what the network was given, and for each of M maps
  ``size`` (M, 2), height and width in cells, and ``first`` (M,), the first row of the photo,
- ``features.json``: channels, stride and number of cells of each map, and ids of photos that could
  not be read; it is written last, so a folder without it is not complete.
"""

import bisect
import contextlib
import json
import os
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from luss.datasets.image_io import UnreadableImageError
from luss.errors import LussError
from luss.files import atomic_write, read_json, write_json

__all__ = ["FeatureFolder", "FeatureWriter", "PhotoFeatures"]

_SUMMARY, _PHOTOS = "features.json", "photos.npy"
_HEADER = 128
"""Length in bytes of the header of a ``.npy`` file of a matrix, which is written at the end."""
_REPAIR = "Delete this folder and the done.json beside or above it, and run with --resume"


class PhotoFeatures(NamedTuple):
    """Feature maps of a photo.

    Attributes:
        maps: M memory-mapped arrays (h, w, L), float16 or float32, from shallow to deep.
        photo: height and width of the photo.
        image: height and width of the image from which the network computed them.
    """

    maps: list[NDArray[np.floating]]
    photo: tuple[int, int]
    image: tuple[int, int]


class _Photo(NamedTuple):
    image_id: bytes
    photo: tuple[int, int]
    image: tuple[int, int]
    sizes: list[tuple[int, int]]
    firsts: list[int]


class FeatureWriter:
    """Writer of a folder of feature maps, photo by photo.

    Memory holds the sizes of the photos, not their features.

    Args:
        folder: an existing folder; it becomes incomplete, and files in it are replaced.
        dtype: float16 or float32.
        strides: of the maps, in pixels of the network's image.
    """

    def __init__(self, folder: Path, dtype: DTypeLike, strides: Sequence[int]) -> None:
        self.folder = folder
        self.dtype = np.dtype(dtype)
        self.strides = [int(stride) for stride in strides]
        (folder / _SUMMARY).unlink(missing_ok=True)
        self._files: list[BinaryIO] = []
        self._channels: list[int] = []
        self._cells = [0] * len(self.strides)
        self._photos: list[_Photo] = []
        self._unreadable: set[str] = set()

    def __enter__(self) -> Self:
        for place in range(len(self.strides)):
            file = _map_path(self.folder, place).open("wb")
            self._files.append(file)
            # The final header takes its place.
            self._write(place, bytes(_HEADER))
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            # `finish` has raised this error, or another one is on its way.
            with contextlib.suppress(OSError):
                file.close()

    def _write(self, place: int, content: bytes) -> None:
        with _naming(_map_path(self.folder, place)):
            self._files[place].write(content)

    def add(
        self,
        image_id: str,
        maps: Sequence[NDArray[np.floating]],
        photo: tuple[int, int],
        image: tuple[int, int],
    ) -> None:
        """Write the maps of a photo.

        Args:
            image_id: of the photo.
            maps: M arrays (L, h, w), floating point.
            photo: height and width of the photo.
            image: height and width of the image from which the network computed the maps.

        Raises:
            LussError: if a value is not finite in the files' type, or a map has other channels than
                those of the photos before.
        """
        channels = [len(values) for values in maps]
        self._channels = self._channels or channels
        if channels != self._channels or len(maps) != len(self.strides):
            raise LussError(
                f"the photo {image_id} has feature maps of {channels} channels, expected "
                f"{self._channels} at {len(self.strides)} strides; use a backbone whose maps do "
                "not depend on the photo"
            )
        sizes, firsts = [], list(self._cells)
        for place, values in enumerate(maps):
            with np.errstate(over="ignore"):
                rows = np.ascontiguousarray(values.transpose(1, 2, 0), dtype=self.dtype)
            if not np.isfinite(rows).all():
                raise LussError(self._describe_not_finite(image_id, place, values))
            self._write(place, rows.tobytes())
            self._cells[place] += rows.shape[0] * rows.shape[1]
            sizes.append((rows.shape[0], rows.shape[1]))
        photo, image = (photo[0], photo[1]), (image[0], image[1])
        self._photos.append(_Photo(image_id.encode(), photo, image, sizes, firsts))

    def _describe_not_finite(self, image_id: str, place: int, values: NDArray) -> str:
        if np.isfinite(values).all():
            return (
                f"feature map {place} of the photo {image_id} has values up to "
                f"{np.abs(values).max():.3g}, more than {self.dtype} holds; set "
                "precision='single'"
            )
        return (
            f"feature map {place} of the photo {image_id} contains NaN or infinity; check the "
            "weights of the backbone"
        )

    def add_unreadable(self, image_ids: Collection[str]) -> None:
        """Note photos that have no features because they cannot be read."""
        self._unreadable |= set(image_ids)

    def append(self, other: Path) -> None:
        """Add the photos of another folder, whose maps have the same channels and strides.

        Args:
            other: a complete folder.

        Raises:
            LussError: if it is damaged, or has other channels or strides.
        """
        found = FeatureFolder(other)
        self.add_unreadable(found.unreadable)
        if not len(found):
            return
        self._channels = self._channels or found.channels
        if (found.channels, found.strides) != (self._channels, self.strides):
            raise LussError(
                f"{other} has feature maps of {found.channels} channels at strides "
                f"{found.strides}, expected {self._channels} at {self.strides}"
            )
        for row in found.photos:
            firsts = [a + int(b) for a, b in zip(self._cells, row["first"], strict=True)]
            sizes = [_pair(size) for size in row["size"]]
            photo, image = _pair(row["photo"]), _pair(row["image"])
            self._photos.append(_Photo(bytes(row["id"]), photo, image, sizes, firsts))
        for place, values in enumerate(found.maps):
            for start in range(0, len(values), 1 << 14):
                self._write(place, values[start : start + (1 << 14)].tobytes())
            self._cells[place] += len(values)

    def finish(self) -> None:
        """Write what makes the folder complete.

        Raises:
            LussError: if a photo was added twice.
        """
        # Without photos, the channels are unknown.
        channels = self._channels or [0] * len(self.strides)
        shapes = list(zip(self._cells, channels, strict=True))
        for place, (file, shape) in enumerate(zip(self._files, shapes, strict=True)):
            with _naming(_map_path(self.folder, place)):
                file.seek(0)
                # numpy pads it, so that the number of rows does not change its length.
                header = {"descr": self.dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                assert file.tell() == _HEADER, "rows begin where the header ends"
                file.flush()
                os.fsync(file.fileno())
        self._photos.sort(key=lambda photo: photo.image_id)
        for one, next_one in zip(self._photos, self._photos[1:], strict=False):
            if one.image_id == next_one.image_id:
                raise LussError(
                    f"the photo {one.image_id.decode()} was added to {self.folder} twice; give "
                    "each photo its own id"
                )
        number = len(self.strides)
        longest = max((len(photo.image_id) for photo in self._photos), default=1)
        rows = np.array(self._photos, dtype=_photo_dtype(longest, number))
        with atomic_write(self.folder / _PHOTOS) as file:
            np.save(file, rows, allow_pickle=False)
        maps = [
            {"cells": cells, "channels": length, "stride": stride}
            for (cells, length), stride in zip(shapes, self.strides, strict=True)
        ]
        summary = {
            "format": 1,
            "dtype": str(self.dtype),
            "photos": len(self._photos),
            "maps": maps,
            "unreadable": sorted(self._unreadable),
        }
        write_json(self.folder / _SUMMARY, summary)


class FeatureFolder:
    """Reader of a folder of feature maps; files are opened at the first use.

    Args:
        folder: that a :class:`FeatureWriter` wrote.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        # Copies and other processes open the files again; copied memory maps would be read in full.
        return FeatureFolder, (self.folder,)

    def __len__(self) -> int:
        """Return the number of photos."""
        return int(self._summary["photos"])

    @property
    def is_complete(self) -> bool:
        """Whether the folder was finished."""
        return (self.folder / _SUMMARY).is_file()

    @property
    def dtype(self) -> np.dtype:
        """Type of the values, float16 or float32."""
        return np.dtype(self._summary["dtype"])

    @property
    def channels(self) -> list[int]:
        """Channels of the maps."""
        return [entry["channels"] for entry in self._summary["maps"]]

    @property
    def strides(self) -> list[int]:
        """Strides of the maps, in pixels of the network's image."""
        return [entry["stride"] for entry in self._summary["maps"]]

    @property
    def unreadable(self) -> list[str]:
        """Ids of photos that could not be read."""
        return self._summary["unreadable"]

    @property
    def ids(self) -> list[str]:
        """Ids of all photos, sorted as bytes."""
        return [image_id.decode() for image_id in self.photos["id"]]

    @cached_property
    def photos(self) -> NDArray[np.void]:
        """The structured array of the photos, memory-mapped.

        Raises:
            LussError: if the file is damaged.
        """
        number = len(self._summary["maps"])
        found = self._open(self.folder / _PHOTOS)
        longest = found.dtype["id"].itemsize if found.dtype.names else 1
        expected = _photo_dtype(longest, number)
        if found.dtype != expected or found.shape != (len(self),):
            raise LussError(
                f"{self.folder / _PHOTOS} has {found.shape} entries of {found.dtype}, expected "
                f"({len(self)},) of {expected}. {_REPAIR}"
            )
        return found

    @cached_property
    def maps(self) -> list[NDArray[np.floating]]:
        """The cells of all photos, M memory-mapped arrays (cells, L).

        Raises:
            LussError: if a file is damaged.
        """
        maps = []
        for place, entry in enumerate(self._summary["maps"]):
            path = _map_path(self.folder, place)
            found = self._open(path)
            expected = (entry["cells"], entry["channels"])
            if found.shape != expected or found.dtype != self._summary["dtype"]:
                raise LussError(
                    f"{path} has the shape {found.shape} of {found.dtype}, expected {expected} of "
                    f"{self._summary['dtype']}. {_REPAIR}"
                )
            maps.append(found)
        return maps

    def read(self, image_id: str) -> PhotoFeatures:
        """Return the maps of a photo, as views of the files.

        Raises:
            UnreadableImageError: if the photo could not be read when features were computed.
            LussError: if the photo has no features, or files are missing or damaged.
        """
        key, ids = image_id.encode(), self.photos["id"]
        row = bisect.bisect_left(ids, key)
        if row == len(ids) or ids[row] != key:
            if image_id in self.unreadable:
                raise UnreadableImageError(
                    f"the photo {image_id} could not be read when its features were computed"
                )
            raise LussError(
                f"the photo {image_id} has no features in {self.folder}, which has {len(self)} "
                "photos. If it is new, delete this folder and its stage's done.json, and run with "
                "--resume; if not, correct `folder`"
            )
        entry, maps = self.photos[row], []
        for rows, first, (height, width) in zip(
            self.maps, entry["first"].tolist(), entry["size"].tolist(), strict=True
        ):
            cells = rows[first : first + height * width]
            if first < 0 or len(cells) != height * width:
                raise LussError(
                    f"{self.folder / _PHOTOS} places cells of the photo {image_id} at {first} to "
                    f"{first + height * width} of {len(rows)}. {_REPAIR}"
                )
            maps.append(cells.reshape(height, width, -1))
        return PhotoFeatures(maps, _pair(entry["photo"]), _pair(entry["image"]))

    @cached_property
    def _summary(self) -> dict[str, Any]:
        path = self.folder / _SUMMARY
        if not path.exists():
            raise LussError(
                f"{self.folder} has no complete features: {_SUMMARY} is missing. Let the stage "
                "that computes them finish (run with --resume), or correct `folder`"
            )
        found = read_json(path)
        if not _is_summary(found):
            raise LussError(f"{path} is damaged: {json.dumps(found)[:200]}. {_REPAIR}")
        return found

    @staticmethod
    def _open(path: Path) -> NDArray:
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # numpy raises many kinds
            reason = " ".join(str(error).split())
            raise LussError(f"cannot read features from {path}: {reason}. {_REPAIR}") from error


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Add the path to errors of an open file, such as a full disk."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error


def _map_path(folder: Path, place: int) -> Path:
    return folder / f"map_{place}.npy"


def _photo_dtype(longest: int, number: int) -> np.dtype:
    return np.dtype(
        [
            ("id", f"S{longest}"),
            ("photo", "<i4", (2,)),
            ("image", "<i4", (2,)),
            ("size", "<i4", (number, 2)),
            ("first", "<i8", (number,)),
        ]
    )


def _pair(values: Any) -> tuple[int, int]:
    first, second = values
    return int(first), int(second)


def _is_summary(found: dict[str, Any]) -> bool:
    maps = found.get("maps")
    if found.get("format") != 1 or found.get("dtype") not in ("float16", "float32"):
        return False
    if not isinstance(found.get("unreadable"), list) or not isinstance(maps, list):
        return False
    numbers = [found.get("photos")]
    for entry in maps:
        if not isinstance(entry, dict):
            return False
        numbers += [entry.get(key) for key in ("cells", "channels", "stride")]
    return all(isinstance(number, int) and number >= 0 for number in numbers)
