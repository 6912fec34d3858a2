"""Foreground maps on disk, one grey PNG per photo."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.files import atomic_write
from luss.label_generation.pseudo_labels import is_complete_png

__all__ = ["MapFolder", "as_stored"]


def as_stored(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Round a map in [0, 1] to the 8 bits of a file."""
    return np.asarray((values * 255).round().astype(np.uint8) / np.float32(255), np.float32)


class MapFolder:
    """Folder of foreground maps, ``<root>/<split>/<image id>.png``.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, split: str, image_id: str) -> Path:
        """Return the file of a photo's map."""
        return self.root / split / f"{image_id}.png"

    def is_complete(self, split: str, image_id: str) -> bool:
        """Return whether a photo's map exists and is undamaged."""
        return is_complete_png(self.path(split, image_id))

    def write(self, split: str, image_id: str, values: NDArray[np.floating]) -> None:
        """Write a map (h, w) in [0, 1] atomically.

        Raises:
            LussError: if shape or values are invalid.
        """
        if values.ndim != 2 or not values.size or not (values.min() >= 0 and values.max() <= 1):
            raise LussError(
                f"the foreground map of {image_id} has shape {values.shape} and values "
                f"{values.min() if values.size else None} to "
                f"{values.max() if values.size else None}; expected (h, w) in 0..1"
            )
        grey = (values * 255).round().astype(np.uint8)
        with atomic_write(self.path(split, image_id)) as file:
            file.write(cv2.imencode(".png", grey)[1].tobytes())

    def read(self, split: str, image_id: str) -> NDArray[np.float32]:
        """Read a map (h, w) in [0, 1].

        Raises:
            LussError: if the file is missing or damaged.
        """
        path = self.path(split, image_id)
        levels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
        if levels is None or levels.ndim != 2 or levels.dtype != np.uint8:
            raise LussError(
                f"the foreground map {path} is missing or damaged; run with --resume to recompute "
                "it"
            )
        return np.asarray(levels / np.float32(255), np.float32)
