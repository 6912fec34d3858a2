"""The feature map that labels are made from, of whatever model was trained."""

from collections.abc import Mapping

from mmengine.model import BaseModel
from torch import Tensor

from luss.errors import LussError
from luss.models.backbones import maps_of

__all__ = ["deepest_map"]


def deepest_map(model: BaseModel, images: Tensor) -> Tensor:
    """Compute the last feature map of any model.

    Args:
        model: its ``extract`` gives the map, or the maps of several stages by their numbers; of a
            model without one, such as an algorithm of mmselfsup, the ``backbone`` gives it.
        images: (N, 3, H, W), normalised, on the model's device.

    Returns:
        (N, L, h, w).

    Raises:
        LussError: if the model has neither, or its backbone gives no feature maps of whole images.
    """
    if hasattr(model, "extract"):
        found = model.extract(images)
        return found[max(found)] if isinstance(found, Mapping) else found
    if not hasattr(model, "backbone"):
        raise LussError(
            f"labels are made from feature maps, but {type(model).__name__} has neither a "
            "'backbone' nor a method 'extract' that returns the last one (N, L, h, w); add one of "
            "them, or name another stage as model_from"
        )
    return maps_of(model.backbone, images)[-1]
