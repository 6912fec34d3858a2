"""Base classes of foreground sources, which map a photo to a foreground map."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import tee
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from luss.label_generation.foreground.photo import LazyPhoto
from luss.registry import FOREGROUND_SOURCES

__all__ = ["ForegroundSource", "WrappingSource"]


class ForegroundSource(ABC):
    """A registered source of foreground maps, the left side of eq. (7).

    A map has any size, since it is resized to the photo, and values in [0, 1], larger where an
    object is likelier.
    """

    needs_model: bool = False
    """Whether it reads the trained model. Other sources run in the data-loading processes."""

    needs_inputs: bool = False
    """Whether it runs the trained model on the photo, so that stored features are not enough."""

    model_parts: frozenset[str] = frozenset()
    """Parts of the trained model that it reads in addition to features, such as ``attention``."""

    is_free: ClassVar[bool] = False
    """Whether the map is a by-product of the model. It is then not stored in a file, and not
    rounded to 8 bits."""

    largest_threshold: ClassVar[float] = 1.0
    """The largest candidate threshold."""

    @abstractmethod
    def __call__(self, photo: LazyPhoto) -> NDArray[np.floating] | Tensor:
        """Return the map (h, w) of a photo."""

    def check_photos(self, split: str, image_ids: Iterable[str]) -> None:  # noqa: B027 -- most need none
        """Check before anything runs that all photos have a map; by default nothing is checked.

        Args:
            split: of the data set.
            image_ids: of its photos.

        Raises:
            LussError: if a photo has no map.
        """


class WrappingSource(ForegroundSource):
    """A source that processes the maps of other sources.

    Args:
        *sources: the other sources or their configs.
    """

    def __init__(self, *sources: dict | ForegroundSource) -> None:
        self.sources = [
            FOREGROUND_SOURCES.build(source) if isinstance(source, dict) else source
            for source in sources
        ]
        self.needs_model = any(source.needs_model for source in self.sources)
        self.needs_inputs = any(source.needs_inputs for source in self.sources)
        self.model_parts = frozenset().union(*(source.model_parts for source in self.sources))

    def check_photos(self, split: str, image_ids: Iterable[str]) -> None:
        """Check the photos by all other sources."""
        # tee() lists the ids only if a source reads them.
        for source, ids in zip(self.sources, tee(image_ids, len(self.sources)), strict=True):
            source.check_photos(split, ids)

    def maps(self, photo: LazyPhoto) -> Iterator[NDArray[np.float32]]:
        """Yield the maps of the other sources."""
        for source in self.sources:
            yield as_array(source(photo))


def as_array(values: NDArray | Tensor) -> NDArray[np.float32]:
    """Convert a map to a float32 array."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, np.float32)
