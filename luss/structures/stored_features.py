"""Feature maps in data samples, computed before by a frozen backbone."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray
from torch import Tensor

from luss.errors import LussError

__all__ = ["FEATURES", "pack_maps", "sizes_of_maps", "stored_maps"]

FEATURES = "features"
"""Field of a data sample with its feature maps."""


def pack_maps(maps: Sequence[NDArray[np.floating]]) -> BaseDataElement:
    """Return feature maps as a field of a data sample, which moves to devices with it.

    Args:
        maps: M arrays (h, w, L), from shallow to deep.
    """
    packed = BaseDataElement()
    for place, values in enumerate(maps):
        found = torch.from_numpy(np.array(values.transpose(2, 0, 1), order="C"))
        packed.set_field(found, f"map_{place}")
    return packed


def stored_maps(samples: Sequence[BaseDataElement]) -> list[Tensor] | None:
    """Return the feature maps that a batch brings along; None if the network must compute them.

    Args:
        samples: N data samples, all or none of which have the field ``features``.

    Returns:
        M feature maps (N, L, h, w) float32, from shallow to deep, on the samples' device.

    Raises:
        LussError: if only some samples have maps, or maps differ in size.
    """
    found = [_maps_of(sample) for sample in samples if FEATURES in sample]
    if not found:
        return None
    sizes = {tuple(tuple(one.shape) for one in maps) for maps in found}
    if len(found) < len(samples) or len(sizes) > 1:
        raise LussError(
            f"{len(found)} of {len(samples)} photos of a batch have stored features, of the shapes "
            f"{sorted(sizes)[:3]}; expected all, of one shape. Add RandomFeatureWindow after "
            "LoadFeatures, or set batch_size=1"
        )
    return [torch.stack(maps).float() for maps in zip(*found, strict=True)]


def sizes_of_maps(sample: BaseDataElement) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of a sample's feature maps; empty if it has none."""
    return tuple(tuple(one.shape) for one in _maps_of(sample)) if FEATURES in sample else ()


def _maps_of(sample: BaseDataElement) -> list[Tensor]:
    packed = sample.get(FEATURES)
    return [packed.get(f"map_{place}") for place in range(len(packed.keys()))]
