"""The foreground map of a trained C2AM model."""

from torch import Tensor

from luss.errors import LussError
from luss.label_generation.foreground.feature_cut import finer_features
from luss.label_generation.foreground.photo import LazyPhoto
from luss.label_generation.foreground.source import ForegroundSource
from luss.registry import FOREGROUND_SOURCES

__all__ = ["C2AMSource"]


@FOREGROUND_SOURCES.register_module(name="C2AM")
class C2AMSource(ForegroundSource):
    """The class-agnostic activation map of a trained :class:`c2am.C2AM`.

    Args:
        finer: factor by which the map is finer than the feature map, see :func:`finer_features`.

    Raises:
        LussError: if ``finer`` is below 1.
    """

    needs_model = True
    needs_inputs = True
    model_parts = frozenset({"disentangler"})

    def __init__(self, finer: int = 2) -> None:
        if finer < 1:
            raise LussError(f"C2AM: finer is {finer}, expected 1 or more")
        self.finer = finer

    def __call__(self, photo: LazyPhoto) -> Tensor:
        """Return (finer * h, finer * w) float32 for a feature map (h, w)."""
        model, inputs = photo.require_model()
        return finer_features(model.foreground_map, inputs, self.finer)[0, 0]
