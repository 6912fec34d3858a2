"""The feature map that labels are made from, of whatever model was trained."""

from collections.abc import Mapping

from mmengine.model import BaseModel
from torch import Tensor

__all__ = ["deepest_map"]


def deepest_map(model: BaseModel, images: Tensor) -> Tensor:
    """The model's last feature map.

    Args:
        model: whose ``extract`` gives it, or the maps of several stages by their numbers.
        images: (N, 3, H, W), normalised, on the model's device.

    Returns:
        (N, L, h, w).
    """
    found = model.extract(images)
    return found[max(found)] if isinstance(found, Mapping) else found
