"""A placeholder model for runners whose loop only reads photos."""

from mmengine.model import BaseModel

from luss.errors import LussError
from luss.registry import MODELS

__all__ = ["NoModel"]


@MODELS.register_module()
class NoModel(BaseModel):
    """Placeholder, since MMEngine's runners require a model."""

    def forward(self, *args, **kwargs) -> None:
        """Raise an error.

        Raises:
            LussError: always.
        """
        raise LussError("NoModel cannot run; set 'model' to a model if the loop needs one")
