"""Models without their wrapper for several processes."""

from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn

__all__ = ["bare_model"]


def bare_model(model: nn.Module) -> Any:
    """Return a model without its wrapper, if it has one."""
    return model.module if is_model_wrapper(model) else model
