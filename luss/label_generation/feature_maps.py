"""The last feature map of any trained model, from which labels are computed."""

from collections.abc import Mapping

from mmengine.model import BaseModel
from torch import Tensor

from luss.errors import LussError
from luss.models.backbones import extract_maps

__all__ = ["deepest_map"]


def deepest_map(model: BaseModel, images: Tensor) -> Tensor:
    """Compute the last feature map of any model.

    Args:
        model: its ``extract`` returns the map, or maps by stage number; without ``extract``, such
            as in an algorithm of mmselfsup, its ``backbone`` returns it.
        images: (N, 3, H, W), normalised, on the model's device.

    Returns:
        (N, L, h, w).

    Raises:
        LussError: if the model has neither, or its backbone returns no feature maps of complete
            images.
    """
    if hasattr(model, "extract"):
        found = model.extract(images)
        return found[max(found)] if isinstance(found, Mapping) else found
    if not hasattr(model, "backbone"):
        raise LussError(
            f"{type(model).__name__} has neither a 'backbone' nor a method 'extract' that returns "
            "the last feature map (N, L, h, w); add one of them, or set model_from to another stage"
        )
    return extract_maps(model.backbone, images)[-1]
