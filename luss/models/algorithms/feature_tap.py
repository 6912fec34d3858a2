"""Record the feature maps that a backbone computes for an algorithm, view by view."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from luss.models.backbones import feature_maps
from luss.models.backbones.feature_maps import patch_side, taller_outputs
from luss.structures import size_of

__all__ = ["FeatureTap", "last_output_only", "rows_of_views"]


def rows_of_views(images: Tensor, views: Sequence[Tensor]) -> dict[int, slice]:
    """Find the rows of views in a batch that went through a backbone.

    The batch is one view, or consecutive views of one size, either concatenated (``torch.cat``) or
    interleaved (``torch.stack``, then reshaped, as in SimCLR).

    Args:
        images: (M, 3, H, W) float.
        views: V tensors (N, 3, H', W') float, the inputs of the algorithm.

    Returns:
        Index of each view found -> its rows among the M; empty for other images.
    """
    for index, view in enumerate(views):
        if images is view:
            return {index: slice(None)}
    count, rest = divmod(len(images), len(views[0]))
    if rest:
        return {}
    for first in range(len(views) - count + 1):
        indices = range(first, first + count)
        if any(views[index].shape[1:] != images.shape[1:] for index in indices):
            continue
        size = len(views[0])
        behind = [slice(place * size, (place + 1) * size) for place in range(count)]
        between = [slice(place, None, count) for place in range(count)]
        for rows in (behind, between):
            found = dict(zip(indices, rows, strict=True))
            if all(torch.equal(images[at], views[index]) for index, at in found.items()):
                return found
    return {}


def last_output_only(module: nn.Module, inputs: tuple, outputs: Sequence) -> Sequence:
    """Keep only the last output of a backbone (a forward hook)."""
    return outputs[-1:]


class FeatureTap:
    """Recorder of a backbone's inputs and outputs.

    Args:
        backbone: the backbone to record; its other forward hooks run after this one.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self.backbone = backbone
        self.calls: list[tuple[Tensor, list[Tensor]]] | None = None
        backbone.register_forward_hook(self._record, prepend=True)

    def _record(self, module: nn.Module, inputs: tuple, outputs: Any) -> None:
        if self.calls is not None:
            images = inputs[0]
            taller = partial(taller_outputs, module, images)
            maps = feature_maps(outputs, size_of(images), patch_side(module), taller)
            self.calls.append((images, maps))

    @contextmanager
    def recording(self) -> Iterator[list[tuple[Tensor, list[Tensor]]]]:
        """Yield the backbone's calls while they happen: images, and one map per output."""
        self.calls = []
        try:
            yield self.calls
        finally:
            # Frees the memory of the maps.
            self.calls = None

    def maps(self, images: Tensor) -> list[Tensor]:
        """Run the recorded backbone on images (N, 3, H, W); return all its feature maps."""
        with self.recording() as calls:
            self.backbone(images)
            return calls[-1][1]
