"""A model that consists of a backbone, for loops that only read its features."""

from mmengine.model import BaseModel
from torch import Tensor

from luss.errors import LussError
from luss.models.backbones import extract_maps
from luss.registry import MODELS

__all__ = ["BackboneFeatures"]


@MODELS.register_module()
class BackboneFeatures(BaseModel):
    """Feature extractor without losses, for a backbone of any origin.

    Args:
        backbone: config of any backbone that returns feature maps.
        data_preprocessor: config of the data preprocessor.
    """

    def __init__(self, backbone: dict, data_preprocessor: dict | None = None) -> None:
        super().__init__(data_preprocessor)
        self.backbone = MODELS.build(backbone)

    def extract(self, images: Tensor) -> Tensor:
        """Return the last feature map (N, L, h, w) of images (N, 3, H, W)."""
        return extract_maps(self.backbone, images)[-1]

    def forward(self, inputs: Tensor, mode: str = "tensor") -> Tensor:
        """Return the last feature map of images.

        Raises:
            LussError: if ``mode`` is not ``tensor``.
        """
        if mode != "tensor":
            raise LussError(f"BackboneFeatures: mode is {mode!r}, expected 'tensor'")
        return self.extract(inputs)
