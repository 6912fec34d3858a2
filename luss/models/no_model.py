"""A model for runners whose loop looks at photos alone."""

from mmengine.model import BaseModel

from luss.errors import LussError
from luss.registry import MODELS

__all__ = ["NoModel"]


@MODELS.register_module()
class NoModel(BaseModel):
    """Nothing: MMEngine's runners must have a model."""

    def forward(self, *args, **kwargs) -> None:
        """Refuse.

        Raises:
            LussError: always.
        """
        raise LussError("this runner has no model; its loop must not ask for any")
