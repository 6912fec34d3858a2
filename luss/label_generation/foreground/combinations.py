"""Sources of foreground that join, scale or sharpen the maps of others."""

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
from luss.label_generation.foreground.photo import Photo, resize_map
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
    """Joins maps, resized to the largest of them.

    Args:
        sources: configs of the sources.

    Raises:
        LussError: if there are fewer than two.
    """

    join: ClassVar[Callable[[Sequence[NDArray]], NDArray[np.float32]]]

    def __init__(self, sources: Sequence[Source]) -> None:
        if len(sources) < 2:
            raise LussError(f"{type(self).__name__} joins two or more sources, got {len(sources)}")
        super().__init__(*sources)

    def __call__(self, photo: Photo) -> NDArray[np.float32]:
        """(H, W), that of the largest map."""
        maps = list(self.maps(photo))
        size = max((values.shape for values in maps), key=np.prod)
        return type(self).join([resize_map(values, size) for values in maps])


@FOREGROUND_SOURCES.register_module()
class MeanOfMaps(_Joined):
    """The mean of maps, see :class:`_Joined`."""

    join = staticmethod(mean_of_maps)


@FOREGROUND_SOURCES.register_module()
class ProductOfMaps(_Joined):
    """The product of maps, see :class:`_Joined`."""

    join = staticmethod(product_of_maps)


@FOREGROUND_SOURCES.register_module()
class MeanOfRanks(_Joined):
    """The mean of the maps' ranks within the photo, see :class:`_Joined`."""

    join = staticmethod(mean_of_ranks)


@FOREGROUND_SOURCES.register_module()
class ProductOfRanks(_Joined):
    """The geometric mean of the maps' ranks within the photo, see :class:`_Joined`."""

    join = staticmethod(product_of_ranks)


@FOREGROUND_SOURCES.register_module()
class Normalised(WrappingSource):
    """Scales maps, so that one threshold suits many photos.

    Args:
        source: config of the source.
        by: ``'ranks'`` makes a value the share of pixels below it; ``'range'`` puts the lowest to
            0 and the highest to 1.
        over: ``'image'`` looks at each map alone; ``'set'`` at those of all training photos. Only
            the outermost source can look at the set.

    Raises:
        LussError: if ``by`` or ``over`` is none of these.
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
                f"Normalised: by={by!r} and over={over!r}, expected by 'ranks' or 'range', over "
                "'image' or 'set'"
            )
        super().__init__(source)
        self.by = by
        self.scale_of_set = by if over == "set" else None

    def __call__(self, photo: Photo) -> NDArray[np.float32]:
        """(h, w), the source's; over the set, what is still to be scaled."""
        (values,) = self.maps(photo)
        return values if self.scale_of_set else self._BY[self.by](values)


class _Refined(WrappingSource):
    """Brings a map to the photo's size and refines it by the photo.

    Args:
        source: config of the source.
        **settings: of the function that refines.
    """

    refine: ClassVar[Callable[..., NDArray[np.float32]]]

    def __init__(self, source: Source, **settings) -> None:
        super().__init__(source)
        self.settings = settings
        # Refuses wrong settings.
        type(self).refine(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1)), **settings)

    def __call__(self, photo: Photo) -> NDArray[np.float32]:
        """(H, W), the photo's."""
        (values,) = self.maps(photo)
        values = resize_map(values, photo.image.shape[:2])
        return type(self).refine(photo.image, values, **self.settings)


@FOREGROUND_SOURCES.register_module()
class GrabCut(_Refined):
    """Cuts out by colour what a map points at, see :func:`refine_by_grabcut` for settings."""

    refine = staticmethod(refine_by_grabcut)


@FOREGROUND_SOURCES.register_module()
class PAMR(_Refined):
    """Moves a map's edges to the photo's, by pixel-adaptive mask refinement.

    See :func:`refine_by_pamr` for settings.
    """

    refine = staticmethod(refine_by_pamr)
