"""One photo, as the sources of foreground may look at it."""

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

__all__ = ["Photo", "resize_map"]

_LONGEST_SIDE = 400
"""Pixels; region contrast was made for photos of this size, and larger ones cost no more."""


@dataclass
class Photo:
    """A photo; what costs something is computed once, when it is asked for.

    Attributes:
        image_id: of the photo.
        path: of its file.
        split: of the data set.
        upright: whether it is turned as its EXIF orientation says.
        inputs: (1, 3, h, w), as the model takes it; None for sources that need no model.
        model: that was trained, in evaluation mode; likewise.
        sample: what else is known of it, as ``PackInputs`` gives it; likewise.
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
        """(H, W, 3) RGB, reduced so that the longer side has at most 400 pixels.

        Raises:
            UnreadableImageError: if the file cannot be read.
        """
        image = read_image(self.path, self.upright)
        height, width = image.shape[:2]
        scale = _LONGEST_SIDE / max(height, width)
        if scale >= 1:
            return image
        size = max(1, round(scale * width)), max(1, round(scale * height))
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

    @cached_property
    def features(self) -> Tensor:
        """The model's last feature map (1, L, h, w).

        Raises:
            LussError: if the photo comes without a model.
        """
        return self.features_of(self.inputs)

    def features_of(self, images: Tensor | None) -> Tensor:
        """The model's last feature maps (N, L, h, w) of images (N, 3, H, W) as it takes them.

        Raises:
            LussError: if the photo comes without a model.
        """
        if self.model is None or images is None:
            raise LussError(
                "a source of foreground asked for features, but does not say needs_model = True"
            )
        return deepest_map(self.model, images)


def resize_map(values: NDArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """Resize a map (h, w) bilinearly to (H, W)."""
    values = np.asarray(values, np.float32)
    if values.shape == size:
        return values
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)
