"""Foreground sources that combine or scale the maps of other sources."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from luss.errors import LussError
from luss.label_generation.foreground import (
    ForegroundSource,
    JoinedSource,
    LazyPhoto,
    WrappingSource,
    range_to_one,
    ranks,
)
from luss.registry import FOREGROUND_SOURCES

__all__ = ["MeanOfMaps", "Normalised", "ProductOfRanks", "mean_of_maps", "product_of_ranks"]

_BY = {"ranks": ranks, "range": range_to_one}


def mean_of_maps(maps: Sequence[NDArray]) -> NDArray[np.float32]:
    """Compute the mean of maps (H, W) in [0, 1], float32."""
    return np.mean(maps, axis=0, dtype=np.float32)


def product_of_ranks(maps: Sequence[NDArray]) -> NDArray[np.float32]:
    """Compute the geometric mean of the maps' ranks, (H, W) float32 in (0, 1)."""
    return np.exp(np.mean([np.log(ranks(values)) for values in maps], axis=0, dtype=np.float32))


@FOREGROUND_SOURCES.register_module()
class MeanOfMaps(JoinedSource):
    """The mean of several sources' maps."""

    join = staticmethod(mean_of_maps)


@FOREGROUND_SOURCES.register_module()
class ProductOfRanks(JoinedSource):
    """The geometric mean of the ranks of several sources' maps."""

    join = staticmethod(product_of_ranks)


@FOREGROUND_SOURCES.register_module()
class Normalised(WrappingSource):
    """Maps that are scaled within each photo, so that one threshold suits many photos.

    Args:
        source: config of the source.
        by: ``'ranks'`` replaces a value by the share of pixels below it; ``'range'`` maps the
            lowest value to 0 and the highest to 1.

    Raises:
        LussError: if ``by`` has another value.
    """

    def __init__(
        self, source: dict | ForegroundSource, by: Literal["ranks", "range"] = "ranks"
    ) -> None:
        if by not in _BY:
            raise LussError(f"Normalised: by is {by!r}, expected 'ranks' or 'range'")
        super().__init__(source)
        self.by = by

    def __call__(self, photo: LazyPhoto) -> NDArray[np.float32]:
        """Return the scaled map (h, w)."""
        (values,) = self.maps(photo)
        return _BY[self.by](values)
