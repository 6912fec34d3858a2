"""Which parameters LARS adapts, as BYOL and PixPro have it."""

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from luss.errors import LussError
from luss.registry import OPTIM_WRAPPER_CONSTRUCTORS

__all__ = ["LARSOptimWrapperConstructor"]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LARSOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Leaves biases and norms out of LARS' adaptation and of the weight decay.

    Two groups: parameters of one dimension, without decay and with ``lars_exclude=True``, and all
    others. ``paramwise_cfg`` of mmselfsup's BYOL does the same by names, with a group for each
    parameter.

    Raises:
        LussError: if there is a ``paramwise_cfg``.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg:
            raise LussError(
                f"LARSOptimWrapperConstructor makes its groups itself, but paramwise_cfg is "
                f"{dict(paramwise_cfg)}; take it out of optim_wrapper"
            )
        super().__init__(optim_wrapper_cfg, None)
        # MMEngine makes groups only where there is something to set by parameter.
        self.paramwise_cfg = {"norm_decay_mult": 0.0}

    def add_params(self, params: list[dict], module: nn.Module, **kwargs) -> None:
        """Add the two groups."""
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        excluded = [parameter for parameter in trained if parameter.ndim <= 1]
        params.append({"params": [parameter for parameter in trained if parameter.ndim > 1]})
        params.append({"params": excluded, "weight_decay": 0.0, "lars_exclude": True})
