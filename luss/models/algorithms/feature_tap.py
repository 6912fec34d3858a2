"""Reads off a backbone the feature maps that an algorithm has it compute, view by view."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from luss.errors import LussError

__all__ = ["FeatureTap", "feature_map", "last_output_only", "probe_channels", "rows_of_views"]

_PROBE_SIDE = 64
"""Side of the image, in pixels, by which a backbone that has no image size of its own is tried."""


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


def feature_map(output: Any) -> Any:
    """The map of one of a backbone's outputs: itself, or the first of a map and a class token."""
    return output[0] if isinstance(output, list | tuple) else output


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
        self.calls: list[tuple[Tensor, list[Any]]] | None = None
        backbone.register_forward_hook(self._note, prepend=True)

    def _note(self, module: nn.Module, inputs: tuple, outputs: Any) -> None:
        if self.calls is not None:
            outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
            self.calls.append((inputs[0], [feature_map(output) for output in outputs]))

    @contextmanager
    def recording(self) -> Iterator[list[tuple[Tensor, list[Any]]]]:
        """Yield the calls of the backbone, as they come: images, and a map of each output."""
        self.calls = []
        try:
            yield self.calls
        finally:
            # Gives their memory back.
            self.calls = None


def probe_channels(tap: FeatureTap, stages: tuple[int, ...], where: str) -> dict[int, int]:
    """Try a backbone by one black image; it and random states are afterwards as before.

    Args:
        tap: on the backbone, in training mode.
        stages: which stage each output is.
        where: which backbone, for messages.

    Returns:
        Stage -> channels of its feature map.

    Raises:
        LussError: if the backbone needs more than images (such as masks), or does not give one
            feature map for each stage (pooled, or of what a mask left).
    """
    backbone = tap.backbone
    side = getattr(backbone, "img_size", _PROBE_SIDE)
    size = (side, side) if isinstance(side, int) else tuple(side)
    advice = (
        "objectives read a feature map (N, C, H, W) of whole images for each stage; leave them "
        "out, or choose another algorithm or backbone"
    )
    backbone.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), tap.recording() as calls:
            backbone(torch.zeros(1, 3, *size))
    # Whatever a backbone raises that takes more than images.
    except Exception as error:
        raise LussError(f"{where} takes no plain images ({error}); {advice}") from error
    finally:
        backbone.train()
    outputs = calls[-1][1]
    shapes = [tuple(getattr(output, "shape", ())) for output in outputs]
    if any(len(shape) != 4 for shape in shapes):
        raise LussError(f"{where} gives outputs of the shapes {shapes}, but {advice}")
    if len(outputs) != len(stages):
        raise LussError(
            f"{where} gives {len(outputs)} feature maps, but stages={stages} names {len(stages)}; "
            "set the backbone's out_indices to these stages"
        )
    return dict(zip(stages, (shape[1] for shape in shapes), strict=True))
