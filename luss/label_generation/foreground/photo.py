"""Input of the foreground sources: a photo and the trained model."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray
from torch import Tensor

from luss.datasets.image_io import read_image
from luss.errors import LussError
from luss.label_generation.feature_maps import deepest_map
from luss.models.backbones import extract_maps
from luss.structures import stored_maps

__all__ = ["LazyPhoto", "resize_map"]

_LONGEST_SIDE = 400
"""In pixels. Region contrast was designed for this size; it bounds the cost of large ones."""


@dataclass
class LazyPhoto:
    """A photo whose image and features are computed once, on first use.

    Attributes:
        image_id: of the photo.
        path: of its file.
        split: of the data set.
        upright: whether to apply its EXIF orientation.
        inputs: (1, 3, h, w), input of the model; None for sources that need no model, and for
            photos that are not loaded since their features are stored.
        model: trained model in evaluation mode; None for sources that need no model.
        sample: data sample of ``PackInputs``, on the model's device; None as for ``model``. If it
            has stored features, the model does not run.
    """

    image_id: str
    path: str
    split: str = "train"
    upright: bool = False
    inputs: Tensor | None = None
    model: BaseModel | None = None
    sample: BaseDataElement | None = None

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """Return (H, W, 3) RGB, downscaled so that the longer side has at most 400 pixels.

        Raises:
            UnreadableImageError: if the file cannot be read.
        """
        image = read_image(self.path, self.upright)
        height, width = image.shape[:2]
        scale = _LONGEST_SIDE / max(height, width)
        if scale >= 1:
            return image
        size = max(1, round(scale * width)), max(1, round(scale * height))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    def require_model(self) -> tuple[BaseModel, Tensor]:
        """Return the trained model and its input (1, 3, h, w).

        Raises:
            LussError: if there is no model, or no input.
        """
        if self.model is not None and self.inputs is None:
            raise LussError(
                f"a foreground source runs the model on the photo {self.image_id}, of which only "
                "stored features are loaded; add LoadRGBImage and ResizeShortSide before "
                "LoadFeatures, or choose another source"
            )
        if self.model is None or self.inputs is None:
            raise LussError(
                "a foreground source reads the model, but does not declare it; set needs_model = "
                "True in its class"
            )
        return self.model, self.inputs

    @cached_property
    def features(self) -> Tensor:
        """Return the model's last feature map (1, L, h, w).

        Raises:
            LussError: if there is no model.
        """
        if self._stored is not None:
            return self._stored[-1]
        return deepest_map(*self.require_model())

    @cached_property
    def feature_maps(self) -> list[Tensor]:
        """Return the feature maps (1, L, h, w) of the model's backbone, from shallow to deep.

        Raises:
            LussError: if there is no model, or its backbone does not return feature maps.
        """
        if self._stored is not None:
            return self._stored
        model, inputs = self.require_model()
        return extract_maps(model.backbone, inputs)

    @cached_property
    def _stored(self) -> list[Tensor] | None:
        return None if self.sample is None else stored_maps([self.sample])


def resize_map(values: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize a map (h, w) bilinearly to (H, W)."""
    values = np.asarray(values, np.float32)
    if values.shape == size:
        return values
    return np.asarray(cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
