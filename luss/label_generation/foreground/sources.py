"""The sources of foreground that a config can name (``stages.label_generation.foreground``)."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.foreground.boundary_prior import boundary_prior
from luss.label_generation.foreground.centre_prior import centre_prior
from luss.label_generation.foreground.photo import Photo
from luss.label_generation.foreground.region_contrast import region_contrast
from luss.label_generation.foreground.source import ForegroundSource
from luss.registry import FOREGROUND_SOURCES

__all__ = [
    "Attention",
    "BoundaryPrior",
    "CentrePrior",
    "FolderOfMaps",
    "RegionContrast",
    "WholePhoto",
]


@FOREGROUND_SOURCES.register_module()
class Attention(ForegroundSource):
    """The mean of pixel attention over channels, as in the paper (eq. 7)."""

    needs_model = True
    model_parts = frozenset({"attention"})
    is_free = True
    largest_threshold = 0.8  # as in the released search

    def __call__(self, photo: Photo) -> Tensor:
        """(4h, 4w) float32 of a feature map (h, w)."""
        return photo.model.attention.mean_attention(photo.features)[0, 0]


@FOREGROUND_SOURCES.register_module()
class RegionContrast(ForegroundSource):
    """Contrast of regions in colour, the shape prior of PASS_p+RC; needs scikit-image.

    Args:
        **settings: of :func:`region_contrast`.

    Raises:
        LussError: if scikit-image is not installed.
    """

    def __init__(self, **settings) -> None:
        if importlib.util.find_spec("skimage") is None:
            raise LussError(
                "RegionContrast segments photos by scikit-image, which is not installed: pip "
                "install scikit-image, or choose another foreground source such as BoundaryPrior"
            )
        region_contrast(np.zeros((1, 1, 3), np.uint8), **settings)
        self.settings = settings

    def __call__(self, photo: Photo) -> NDArray[np.float32]:
        """(H, W), the photo's."""
        return region_contrast(photo.image, **self.settings)


@FOREGROUND_SOURCES.register_module()
class BoundaryPrior(ForegroundSource):
    """Distance in colour to the photo's frame.

    Args:
        **settings: of :func:`boundary_prior`.
    """

    def __init__(self, **settings) -> None:
        boundary_prior(np.zeros((1, 1, 3), np.uint8), **settings)
        self.settings = settings

    def __call__(self, photo: Photo) -> NDArray[np.float32]:
        """(H, W), the photo's."""
        return boundary_prior(photo.image, **self.settings)


@FOREGROUND_SOURCES.register_module()
class CentrePrior(ForegroundSource):
    """A Gaussian around the photo's centre.

    Args:
        sigma: standard deviation as a part of each side.
    """

    def __init__(self, sigma: float = 0.25) -> None:
        centre_prior(1, 1, sigma)
        self.sigma = sigma

    def __call__(self, photo: Photo) -> NDArray[np.float32]:
        """(H, W), the photo's."""
        return centre_prior(*photo.image.shape[:2], self.sigma)


@FOREGROUND_SOURCES.register_module()
class WholePhoto(ForegroundSource):
    """All of a photo is foreground: for labels that have no 'other' of their own (table 10a)."""

    is_free = True

    def __call__(self, photo: Photo) -> NDArray[np.float32]:
        """(1, 1), a one."""
        return np.ones((1, 1), np.float32)


@FOREGROUND_SOURCES.register_module()
class FolderOfMaps(ForegroundSource):
    """Maps that lie in a folder, of any origin.

    Args:
        folder: of 8-bit grey PNGs, ``<split>/<image id>.png`` or ``<image id>.png``, of any size.

    Raises:
        LussError: if none is named, or there is no such folder.
    """

    def __init__(self, folder: str | None) -> None:
        if folder is None:
            raise LussError(
                "FolderOfMaps: no folder is named; give the one of your maps, such as "
                "--cfg-options stages.label_generation.foreground.folder=DIR"
            )
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise LussError(f"FolderOfMaps: there is no folder {folder}")

    def check_photos(self, split: str, image_ids: Iterable[str]) -> None:
        """Check that all photos have a file.

        Raises:
            LussError: if files are missing.
        """
        image_ids = list(image_ids)
        missing = [name for name in image_ids if self._path(split, name) is None]
        if missing:
            raise LussError(
                f"FolderOfMaps: {len(missing)} of {len(image_ids)} photos of {split} have no map "
                f"in {self.folder}, such as {missing[0]}; expected {split}/{missing[0]}.png or "
                f"{missing[0]}.png there. Add the maps, or choose another foreground source"
            )

    def _path(self, split: str, image_id: str) -> Path | None:
        """The file of a photo; None if there is none."""
        places = self._places(split, image_id)
        return next((place for place in places if place.is_file()), None)

    def _places(self, split: str, image_id: str) -> tuple[Path, Path]:
        name = f"{image_id}.png"
        return self.folder / split / name, self.folder / name

    def __call__(self, photo: Photo) -> NDArray[np.float32]:
        """(h, w), the file's.

        Raises:
            LussError: if the photo has no map, or it is no 8-bit grey picture.
        """
        path = self._path(photo.split, photo.image_id)
        if path is None:
            places = self._places(photo.split, photo.image_id)
            raise LussError(
                f"the photo {photo.image_id} of {photo.split} has no map: there is neither "
                f"{' nor '.join(map(str, places))}"
            )
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if values is None or values.ndim != 2 or values.dtype != np.uint8:
            raise LussError(f"{path} is no 8-bit grey PNG, which a map of foreground must be")
        return values / np.float32(255)
