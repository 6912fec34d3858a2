"""Foreground sources that combine or refine the maps of other sources."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.label_generation.foreground.grabcut import refine_by_grabcut
from luss.label_generation.foreground.joining import mean_of_ranks, product_of_maps
from luss.label_generation.foreground.pamr import refine_by_pamr
from luss.label_generation.foreground.photo import LazyPhoto, resize_map
from luss.label_generation.foreground.source import ForegroundSource, WrappingSource
from luss.registry import FOREGROUND_SOURCES

__all__ = ["PAMR", "GrabCut", "JoinedSource", "MeanOfRanks", "ProductOfMaps"]

Source = dict | ForegroundSource


class JoinedSource(WrappingSource):
    """Base class of combinations of maps, resized to the largest map.

    Args:
        sources: configs of the sources.

    Raises:
        LussError: if there are fewer than two.
    """

    join: ClassVar[Callable[..., NDArray[np.float32]]]
    """Function from a list of maps (H, W) to the combined map."""

    def __init__(self, sources: Sequence[Source]) -> None:
        if len(sources) < 2:
            raise LussError(
                f"{type(self).__name__} has {len(sources)} source(s), expected two or more; add "
                "sources"
            )
        super().__init__(*sources)

    def __call__(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return the combined map (H, W), of the size of the largest map."""
        maps = list(self.maps(photo))
        size = max((values.shape for values in maps), key=np.prod)
        return self._joined([resize_map(values, size) for values in maps])

    def _joined(self, maps: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return type(self).join(maps)


@FOREGROUND_SOURCES.register_module()
class ProductOfMaps(JoinedSource):
    """The product of several sources' maps."""

    join = staticmethod(product_of_maps)


@FOREGROUND_SOURCES.register_module()
class MeanOfRanks(JoinedSource):
    """The mean of the ranks of several sources' maps.

    Args:
        sources: configs of the sources.
        weights: one positive number for each source; by default all are equal.

    Raises:
        LussError: if there are fewer than two sources, or the weights do not fit them.
    """

    join = staticmethod(mean_of_ranks)

    def __init__(self, sources: Sequence[Source], weights: Sequence[float] | None = None) -> None:
        super().__init__(sources)
        if weights is not None and (len(weights) != len(sources) or not min(weights) > 0):
            raise LussError(
                f"MeanOfRanks: weights is {list(weights)}, expected {len(sources)} positive "
                "numbers, one for each source"
            )
        self.weights = weights

    def _joined(self, maps: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return mean_of_ranks(maps, self.weights)


class _Refined(WrappingSource):
    """Base class of maps that are resized to the photo and refined by its colours.

    Args:
        source: config of the source.
        **settings: of ``refine``.
    """

    refine: ClassVar[Callable[..., NDArray[np.float32]]]

    def __init__(self, source: Source, **settings) -> None:
        super().__init__(source)
        self.settings = settings
        # Rejects invalid settings before any photo is read.
        type(self).refine(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1)), **settings)

    def __call__(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return the refined map (H, W) of the photo's size."""
        (values,) = self.maps(photo)
        values = resize_map(values, photo.image.shape[:2])
        return type(self).refine(photo.image, values, **self.settings)


@FOREGROUND_SOURCES.register_module()
class GrabCut(_Refined):
    """A map refined by GrabCut, see :func:`refine_by_grabcut` for settings."""

    refine = staticmethod(refine_by_grabcut)


@FOREGROUND_SOURCES.register_module()
class PAMR(_Refined):
    """A map refined by pixel-adaptive mask refinement, see :func:`refine_by_pamr` for settings."""

    refine = staticmethod(refine_by_pamr)
