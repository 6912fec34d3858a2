"""What every source of foreground is: a photo in, a map out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import tee
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.foreground.photo import Photo
from luss.registry import FOREGROUND_SOURCES

__all__ = ["ForegroundSource", "WrappingSource"]


class ForegroundSource(ABC):
    """A registered source of maps of foreground, the left side of eq. (7).

    A map has values in [0, 1], larger where an object is likelier, and any size: it is resized to
    the photo's.
    """

    needs_model: bool = False
    """Whether the trained model is looked at. A source that needs none works in the processes that
    load data."""

    model_parts: frozenset[str] = frozenset()
    """What it looks at of the trained model beside features, such as ``attention``."""

    is_free: ClassVar[bool] = False
    """Whether the map costs nothing, as a by-product of the model, and is not worth a file; it then
    keeps its precision, where files have 8 bits."""

    largest_threshold: ClassVar[float] = 1.0
    """Up to which thresholds are tried."""

    scale_of_set: str | None = None
    """What maps are scaled by once those of all training photos are made, see ``Normalised``."""

    @abstractmethod
    def __call__(self, photo: Photo) -> NDArray[np.floating] | Tensor:
        """The map (h, w) of a photo."""

    def check_photos(self, split: str, image_ids: Iterable[str]) -> None:  # noqa: B027 -- most need none
        """Check before anything runs that photos will have a map; most sources need nothing.

        Args:
            split: of the data set.
            image_ids: of its photos.

        Raises:
            LussError: if one of them will have none.
        """


class WrappingSource(ForegroundSource):
    """A source that changes or joins the maps of others.

    Args:
        *sources: configs of the others, or they themselves.
    """

    def __init__(self, *sources: dict | ForegroundSource) -> None:
        self.sources = [
            FOREGROUND_SOURCES.build(source) if isinstance(source, dict) else source
            for source in sources
        ]
        self.needs_model = any(source.needs_model for source in self.sources)
        self.model_parts = frozenset().union(*(source.model_parts for source in self.sources))
        for source in self.sources:
            if source.scale_of_set:
                raise LussError(
                    f"{type(self).__name__} is made of {type(source).__name__}(over='set'), which "
                    "is known only when all training photos are through; put it outermost"
                )

    def check_photos(self, split: str, image_ids: Iterable[str]) -> None:
        """Check the photos of the others; errors as theirs."""
        # Ids are listed only where a source reads them.
        for source, ids in zip(self.sources, tee(image_ids, len(self.sources)), strict=True):
            source.check_photos(split, ids)

    def maps(self, photo: Photo) -> Iterator[NDArray[np.float32]]:
        """The maps of the others."""
        for source in self.sources:
            yield as_array(source(photo))


def as_array(values: NDArray | Tensor) -> NDArray[np.float32]:
    """A map as float32 array."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, np.float32)
