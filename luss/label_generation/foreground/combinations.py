"""Foreground sources that combine, scale or refine the maps of other sources."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.label_generation.foreground.grabcut import refine_by_grabcut
from luss.label_generation.foreground.joining import (
    mean_of_maps,
    mean_of_ranks,
    product_of_maps,
    product_of_ranks,
)
from luss.label_generation.foreground.normalising import range_to_one, ranks
from luss.label_generation.foreground.pamr import refine_by_pamr
from luss.label_generation.foreground.photo import LazyPhoto, resize_map
from luss.label_generation.foreground.source import ForegroundSource, WrappingSource
from luss.registry import FOREGROUND_SOURCES

__all__ = [
    "PAMR",
    "GrabCut",
    "MeanOfMaps",
    "MeanOfRanks",
    "Normalised",
    "ProductOfMaps",
    "ProductOfRanks",
]

Source = dict | ForegroundSource


class _Joined(WrappingSource):
    """Base class of combinations of maps, resized to the largest map.

    Args:
        sources: configs of the sources.

    Raises:
        LussError: if there are fewer than two.
    """

    join: ClassVar[Callable[..., NDArray[np.float32]]]

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
        return type(self).join([resize_map(values, size) for values in maps])


@FOREGROUND_SOURCES.register_module()
class MeanOfMaps(_Joined):
    """The mean of several sources' maps."""

    join = staticmethod(mean_of_maps)


@FOREGROUND_SOURCES.register_module()
class ProductOfMaps(_Joined):
    """The product of several sources' maps."""

    join = staticmethod(product_of_maps)


@FOREGROUND_SOURCES.register_module()
class MeanOfRanks(_Joined):
    """The mean of the ranks of several sources' maps."""

    join = staticmethod(mean_of_ranks)


@FOREGROUND_SOURCES.register_module()
class ProductOfRanks(_Joined):
    """The geometric mean of the ranks of several sources' maps."""

    join = staticmethod(product_of_ranks)


@FOREGROUND_SOURCES.register_module()
class Normalised(WrappingSource):
    """Scaled maps, so that one threshold suits many photos.

    Args:
        source: config of the source.
        by: ``'ranks'`` replaces a value by the share of pixels below it; ``'range'`` maps the
            lowest value to 0 and the highest to 1.
        over: ``'image'`` scales each map on its own; ``'set'`` scales the maps of all training
            photos together, which only the outermost source can do.

    Raises:
        LussError: if ``by`` or ``over`` has another value.
    """

    _BY: ClassVar[dict] = {"ranks": ranks, "range": range_to_one}

    def __init__(
        self,
        source: Source,
        by: Literal["ranks", "range"] = "ranks",
        over: Literal["image", "set"] = "image",
    ) -> None:
        if by not in self._BY or over not in ("image", "set"):
            raise LussError(
                f"Normalised: by is {by!r}, expected 'ranks' or 'range'; over is {over!r}, "
                "expected 'image' or 'set'"
            )
        super().__init__(source)
        self.by = by
        self.scale_of_set = by if over == "set" else None

    def __call__(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return the scaled map (h, w); with ``over='set'``, the map before scaling."""
        (values,) = self.maps(photo)
        return values if self.scale_of_set else self._BY[self.by](values)


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
