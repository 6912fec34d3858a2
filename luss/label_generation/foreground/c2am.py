"""The map of foreground that a model has learnt by contrast."""

from torch import Tensor

from luss.errors import LussError
from luss.label_generation.foreground.feature_cut import finer_features
from luss.label_generation.foreground.photo import Photo
from luss.label_generation.foreground.source import ForegroundSource
from luss.registry import FOREGROUND_SOURCES

__all__ = ["C2AM"]


@FOREGROUND_SOURCES.register_module()
class C2AM(ForegroundSource):
    """The class-agnostic activation map of a trained :class:`luss.models.C2AM`.

    Args:
        finer: how many times finer than the feature map's stride the map is, from copies of the
            photo that are shifted by parts of it.

    Raises:
        LussError: if ``finer`` is below 1.
    """

    needs_model = True
    model_parts = frozenset({"disentangler"})

    def __init__(self, finer: int = 2) -> None:
        if finer < 1:
            raise LussError(f"C2AM: finer is {finer}, expected 1 or more")
        self.finer = finer

    def __call__(self, photo: Photo) -> Tensor:
        """(finer * h, finer * w) float32 of a feature map (h, w)."""
        return finer_features(photo.model.foreground_map, photo.inputs, self.finer)[0, 0]
