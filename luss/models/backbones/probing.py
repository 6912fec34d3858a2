"""Channels and strides of a backbone's feature maps, measured by running it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from luss.errors import LussError
from luss.models.backbones.feature_maps import (
    OtherSizeError,
    eval_mode,
    extract_maps,
    feature_maps,
    own_size,
    patch_side,
)

__all__ = ["StageInfo", "describe_stages", "name_stages", "probe", "stage_names"]

_SIDES = (64, 224, 512)
"""Image sides in pixels to try."""


@dataclass(frozen=True)
class StageInfo:
    """Channels and stride of one feature map.

    Attributes:
        channels: C.
        stride: distance in image pixels between neighbouring pixels of the map.
    """

    channels: int
    stride: int

    def __str__(self) -> str:
        return f"{self.channels} channels at stride {self.stride}"


def probe(
    backbone: nn.Module,
    size: tuple[int, int] | None = None,
    neck: nn.Module | None = None,
    run: Callable[[Tensor], list[Tensor]] | None = None,
) -> list[StageInfo]:
    """Run a backbone once on a black image; return its feature maps' facts, shallow to deep.

    The backbone, its statistics and all random states do not change.

    Args:
        backbone: takes images (N, 3, H, W).
        size: height and width of the image in pixels; by default 64, or larger if the backbone
            needs that.
        neck: takes the backbone's feature maps; its outputs are returned instead.
        run: maps images to the backbone's feature maps; by default :func:`extract_maps`.

    Raises:
        LussError: if the backbone does not accept the image, or does not return feature maps.
    """
    sizes = [size] if size else _usual_sizes(backbone)
    failures: list[tuple[Exception, str]] = []
    for height, width in sizes:
        with eval_mode(backbone), eval_mode(neck), torch.no_grad():
            image = next(backbone.parameters(), torch.zeros(1)).new_zeros(1, 3, height, width)
            try:
                maps = run(image) if run else extract_maps(backbone, image)
                if neck is not None:
                    maps = feature_maps(neck(maps), (height, width))
            except OtherSizeError as error:
                failures.append((error, f"{height} x {width}"))
                continue
            except LussError as error:
                raise LussError(f"{type(backbone).__name__}: {error}") from error
            # Backbones that need larger images, or more than images, raise any kind of exception.
            except Exception as error:
                failures.append((error, f"{height} x {width}"))
                continue
        return [
            StageInfo(found.shape[1], round(math.sqrt(height * width / found[0, 0].numel())))
            for found in maps
        ]
    failure, _ = failures[-1]
    reason = " ".join(str(failure).split()) or type(failure).__name__
    raise LussError(
        f"the backbone {type(backbone).__name__} accepts no image of "
        f"{' or '.join(tried for _, tried in failures)} pixels: {reason}; change the backbone's "
        "options or the image size so that they fit"
    ) from failure


def _usual_sizes(backbone: nn.Module) -> list[tuple[int, int]]:
    own = own_size(backbone)
    # Partial patches would distort the measured stride.
    rows, columns = patch_side(backbone) or (1, 1)
    smallest, *larger = [
        (-(-side // rows) * rows, -(-side // columns) * columns) for side in _SIDES
    ]
    # Small images are fast, but some transformers accept only one size.
    return [smallest, *([own] if own else larger)]


def stage_names(count: int) -> tuple[int, ...]:
    """Return the numbers of ``count`` stages: the last is stage 4, or ``count`` if there are more.

    The paper numbers four stages, at strides 4, 8, 16 and 32.
    """
    last = max(count, 4)
    return tuple(range(last - count + 1, last + 1))


def name_stages(
    stages: Sequence[int] | None, found: list[StageInfo], backbone: nn.Module
) -> dict[int, StageInfo]:
    """Map stage numbers to the backbone's feature maps.

    Args:
        stages: a number for each feature map, from shallow to deep; None for :func:`stage_names`.
        found: result of :func:`probe`.
        backbone: for the message.

    Raises:
        LussError: if there are more or fewer numbers than feature maps.
    """
    names = stage_names(len(found)) if stages is None else tuple(stages)
    if len(names) != len(found) or list(names) != sorted(set(names)):
        raise LussError(
            f"stages={names}, expected one increasing number per feature map of the backbone "
            f"{type(backbone).__name__}, which returns {len(found)}: {describe_stages(found)}; "
            "correct stages or the backbone's out_indices, or remove stages"
        )
    return dict(zip(names, found, strict=True))


def describe_stages(stages: Mapping[int, StageInfo] | Sequence[StageInfo]) -> str:
    """Format channels and stride of each feature map for a message."""
    if isinstance(stages, Mapping):
        return ", ".join(f"{name} of {info}" for name, info in stages.items())
    return ", ".join(map(str, stages))
