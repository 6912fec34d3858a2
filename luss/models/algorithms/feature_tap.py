"""Reads off a backbone the feature maps that an algorithm has it compute, view by view."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from luss.models.backbones import feature_maps
from luss.models.backbones.feature_maps import patch_side, taller_outputs

__all__ = ["FeatureTap", "last_output_only", "rows_of_views"]


def rows_of_views(images: Tensor, views: Sequence[Tensor]) -> dict[int, slice]:
    """Find views again among the images that went through a backbone.

    Images are known as one view, or as neighbouring views of one size, either behind each other
    (``torch.cat``) or image by image (``torch.stack``, then reshaped, as SimCLR has it).

    Args:
        images: (M, 3, H, W) float.
        views: V tensors (N, 3, H', W') float, as the algorithm was given them.

    Returns:
        Index of each view that was found -> its rows among the M; nothing for other images.
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
    """Forward hook that lets a backbone of several outputs give its last one alone."""
    return outputs[-1:]


class FeatureTap:
    """Keeps what a backbone is given and what it gives, while it is asked to.

    Args:
        backbone: to be watched; its other forward hooks see the same outputs after this one.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self.backbone = backbone
        self.calls: list[tuple[Tensor, list[Tensor]]] | None = None
        backbone.register_forward_hook(self._note, prepend=True)

    def _note(self, module: nn.Module, inputs: tuple, outputs: Any) -> None:
        if self.calls is not None:
            images = inputs[0]
            taller = partial(taller_outputs, module, images)
            maps = feature_maps(outputs, tuple(images.shape[-2:]), patch_side(module), taller)
            self.calls.append((images, maps))

    @contextmanager
    def recording(self) -> Iterator[list[tuple[Tensor, list[Tensor]]]]:
        """Yield the calls of the backbone, as they come: images, and a map of each output."""
        self.calls = []
        try:
            yield self.calls
        finally:
            # Gives their memory back.
            self.calls = None

    def maps(self, images: Tensor) -> list[Tensor]:
        """All feature maps of images (N, 3, H, W), of the backbone as it is watched."""
        with self.recording() as calls:
            self.backbone(images)
            return calls[-1][1]
