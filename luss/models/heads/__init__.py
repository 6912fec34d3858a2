from luss.models.heads.pixel_attention import PixelAttention
from luss.models.heads.pixel_propagation import PixelPropagation
from luss.models.heads.projector import LinearProjector, PixelProjector

__all__ = [
    "LinearProjector",
    "PixelAttention",
    "PixelProjector",
    "PixelPropagation",
]
