"""Basic foreground sources (``stages.label_generation.test_cfg.foreground``)."""

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
from luss.label_generation.foreground.photo import LazyPhoto
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
    """The mean of pixel attention over channels, the default of the paper (eq. 7)."""

    needs_model = True
    model_parts = frozenset({"attention"})
    is_free = True
    largest_threshold = 0.8  # as in the released search

    def __call__(self, photo: LazyPhoto) -> Tensor:
        """Return (4h, 4w) float32 for a feature map (h, w)."""
        model, _ = photo.require_model()
        return model.attention.mean_attention(photo.features)[0, 0]


@FOREGROUND_SOURCES.register_module()
class RegionContrast(ForegroundSource):
    """Colour contrast of regions, the shape prior of PASS_p+RC; needs scikit-image.

    Args:
        **settings: of :func:`region_contrast`.

    Raises:
        LussError: if scikit-image is not installed.
    """

    def __init__(self, **settings) -> None:
        if importlib.util.find_spec("skimage") is None:
            raise LussError(
                "RegionContrast needs scikit-image, which is not installed: pip install "
                "scikit-image, or set another foreground source such as BoundaryPrior"
            )
        region_contrast(np.zeros((1, 1, 3), np.uint8), **settings)
        self.settings = settings

    def __call__(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return a map (H, W) of the photo's size."""
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

    def __call__(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return a map (H, W) of the photo's size."""
        return boundary_prior(photo.image, **self.settings)


@FOREGROUND_SOURCES.register_module()
class CentrePrior(ForegroundSource):
    """A Gaussian around the photo's centre.

    Args:
        sigma: standard deviation as a fraction of each side.
    """

    def __init__(self, sigma: float = 0.25) -> None:
        centre_prior(1, 1, sigma)
        self.sigma = sigma

    def __call__(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return a map (H, W) of the photo's size."""
        height, width = photo.image.shape[:2]
        return centre_prior(height, width, self.sigma)


@FOREGROUND_SOURCES.register_module()
class WholePhoto(ForegroundSource):
    """Constant map 1: the complete photo is foreground, for labels without 'other' (table 10a)."""

    is_free = True

    def __call__(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return a map (1, 1) with value 1."""
        return np.ones((1, 1), np.float32)


@FOREGROUND_SOURCES.register_module()
class FolderOfMaps(ForegroundSource):
    """Maps of any origin in a folder.

    Args:
        folder: of 8-bit grey PNGs, ``<split>/<image id>.png`` or ``<image id>.png``, of any size.

    Raises:
        LussError: if the folder is None or missing.
    """

    def __init__(self, folder: str | None) -> None:
        if folder is None:
            raise LussError(
                "FolderOfMaps: folder is None, expected the folder of your maps; set it by "
                "--cfg-options stages.label_generation.test_cfg.foreground.folder=DIR"
            )
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise LussError(f"FolderOfMaps: the folder {folder} is missing; correct its path")

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
                f"{missing[0]}.png there. Add the maps, or set another foreground source"
            )

    def _path(self, split: str, image_id: str) -> Path | None:
        """Return the file of a photo's map; None if there is none."""
        places = self._places(split, image_id)
        return next((place for place in places if place.is_file()), None)

    def _places(self, split: str, image_id: str) -> tuple[Path, Path]:
        name = f"{image_id}.png"
        return self.folder / split / name, self.folder / name

    def __call__(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return the map (h, w) of the file.

        Raises:
            LussError: if the photo has no map, or the file is not an 8-bit grey image.
        """
        path = self._path(photo.split, photo.image_id)
        if path is None:
            places = self._places(photo.split, photo.image_id)
            raise LussError(
                f"the photo {photo.image_id} of {photo.split} has no map; expected "
                f"{' or '.join(map(str, places))}"
            )
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if values is None or values.ndim != 2 or values.dtype != np.uint8:
            raise LussError(f"{path} is not an 8-bit grey PNG, which foreground maps must be")
        return values / np.float32(255)
