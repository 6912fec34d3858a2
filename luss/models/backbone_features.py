"""A model of a backbone alone, for what looks at its features and nothing else."""

from mmengine.model import BaseModel
from torch import Tensor

from luss.errors import LussError
from luss.models.backbones import maps_of
from luss.registry import MODELS

__all__ = ["BackboneFeatures"]


@MODELS.register_module()
class BackboneFeatures(BaseModel):
    """The features of a backbone, whatever it was trained in; there is nothing to train here.

    Args:
        backbone: config of any backbone that gives feature maps.
        data_preprocessor: config of the data preprocessor.
    """

    def __init__(self, backbone: dict, data_preprocessor: dict | None = None) -> None:
        super().__init__(data_preprocessor)
        self.backbone = MODELS.build(backbone)

    def extract(self, images: Tensor) -> Tensor:
        """Deepest feature map (N, L, h, w) of images (N, 3, H, W)."""
        return maps_of(self.backbone, images)[-1]

    def forward(self, inputs: Tensor, mode: str = "tensor") -> Tensor:
        """The feature map of images.

        Raises:
            LussError: if losses or predictions are asked for.
        """
        if mode != "tensor":
            raise LussError("a BackboneFeatures gives features alone; there is nothing to train")
        return self.extract(inputs)
