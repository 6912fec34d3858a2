"""What a backbone gives, read off the backbone itself."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from luss.errors import LussError
from luss.models.backbones.feature_maps import (
    OtherSizeError,
    feature_maps,
    maps_of,
    patch_side,
    quietly,
)

__all__ = ["StageInfo", "describe_stages", "name_stages", "probe", "stage_names"]

_SIDES = (64, 224, 512)
"""Sides in pixels of the images that are tried."""


@dataclass(frozen=True)
class StageInfo:
    """One of a backbone's feature maps.

    Attributes:
        channels: C.
        stride: pixels of the image between two of the map.
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
    """Run a backbone once on a black image and look at its feature maps, from shallow to deep.

    The backbone, its statistics and all random states stay as they were.

    Args:
        backbone: takes images (N, 3, H, W).
        size: height and width of the image in pixels; by default 64, or more where the backbone
            needs more.
        neck: takes the backbone's feature maps; those that it gives are looked at then.
        run: from images to the backbone's feature maps; by default :func:`maps_of`.

    Raises:
        LussError: if it does not take the image, or gives something else than feature maps.
    """
    sizes = [size] if size else _usual_sizes(backbone)
    failures = []
    for height, width in sizes:
        with quietly(backbone), quietly(neck), torch.no_grad():
            image = next(backbone.parameters(), torch.zeros(1)).new_zeros(1, 3, height, width)
            try:
                maps = run(image) if run else maps_of(backbone, image)
                if neck is not None:
                    maps = feature_maps(neck(maps), (height, width))
            except OtherSizeError as error:
                failures.append((error, f"{height} x {width}"))
                continue
            except LussError as error:
                raise LussError(f"{type(backbone).__name__}: {error}") from error
            # Whatever a backbone raises that wants larger images, or more than images.
            except Exception as error:
                failures.append((error, f"{height} x {width}"))
                continue
        return [
            StageInfo(found.shape[1], round(math.sqrt(height * width / found[0, 0].numel())))
            for found in maps
        ]
    error, _ = failures[-1]
    reason = " ".join(str(error).split()) or type(error).__name__
    raise LussError(
        f"the backbone {type(backbone).__name__} takes no image of "
        f"{' or '.join(tried for _, tried in failures)} pixels: {reason}; choose options of the "
        "backbone, or sizes of images, that fit each other"
    ) from error


def _usual_sizes(backbone: nn.Module) -> list[tuple[int, int]]:
    own = getattr(backbone, "img_size", ())
    own = (own, own) if isinstance(own, int) else tuple(own)
    # Of parts of a patch the stride could not be read off.
    patch = patch_side(backbone) or (1, 1)
    smallest, *larger = [tuple(-(-side // step) * step for step in patch) for side in _SIDES]
    # Small images are quick, but some transformers take those of one size only.
    return [smallest, *([own] if len(own) == 2 else larger)]


def stage_names(count: int) -> tuple[int, ...]:
    """Numbers of ``count`` stages, so that the last is stage 4; 1 to ``count`` if there are more.

    The paper counts four stages, at strides 4, 8, 16 and 32.
    """
    last = max(count, 4)
    return tuple(range(last - count + 1, last + 1))


def name_stages(
    stages: Sequence[int] | None, found: list[StageInfo], backbone: nn.Module
) -> dict[int, StageInfo]:
    """Stage -> what the backbone gives there.

    Args:
        stages: a number for each feature map, from shallow to deep; None for :func:`stage_names`.
        found: by :func:`probe`.
        backbone: for the message.

    Raises:
        LussError: if there are more or fewer numbers than feature maps.
    """
    names = stage_names(len(found)) if stages is None else tuple(stages)
    if len(names) != len(found) or list(names) != sorted(set(names)):
        raise LussError(
            f"stages={names} should name, in increasing order, each feature map of the backbone "
            f"{type(backbone).__name__}, which gives {len(found)}: {describe_stages(found)}; "
            "correct stages or the backbone's out_indices, or leave stages out"
        )
    return dict(zip(names, found, strict=True))


def describe_stages(stages: Mapping[int, StageInfo] | Sequence[StageInfo]) -> str:
    """For messages: channels and stride of each feature map, by stage if they have names."""
    if isinstance(stages, Mapping):
        return ", ".join(f"{name} of {info}" for name, info in stages.items())
    return ", ".join(map(str, stages))
