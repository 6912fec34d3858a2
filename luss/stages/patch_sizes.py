"""Sizes of photos that the patches of a vision transformer cover exactly, checked before a run."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from luss.datasets.transforms.resizing import sides_divisor
from luss.errors import LussError
from luss.models.backbones import probe
from luss.models.backbones.feature_maps import patch_side

__all__ = ["require_whole_patches"]

_LOOKED_AT = 16


def require_whole_patches(
    backbone: nn.Module,
    pipeline: Sequence[Mapping[str, Any]],
    where: str,
    photos: Callable[[], Sequence] | None = None,
    run: Callable[[Tensor], list[Tensor]] | None = None,
) -> None:
    """Check that tokens cover images exactly, neither beyond their edges nor short of them.

    Feature maps are laid over the whole image. Where its sides are not multiples of the patch,
    the map of a transformer that keeps its tokens would be shifted by up to a patch.

    Args:
        backbone: any; other models take any size.
        pipeline: configs of the transforms of its images.
        where: the place of the pipeline, for messages.
        photos: returns the data set, of which some photos are looked at where the pipeline does
            not make sure of all.
        run: from images (N, 3, H, W) to the feature maps that are used; by default the backbone's.

    Raises:
        LussError: if sides are not multiples of the patch.
    """
    patch, divisor = patch_side(backbone), sides_divisor(pipeline)
    if patch is None or divisor is None or all(divisor % side == 0 for side in patch):
        return
    # Hierarchical networks join patches, and pad between their stages in any case.
    if probe(backbone, run=run)[-1].stride != round(math.sqrt(patch[0] * patch[1])):
        return
    number = math.lcm(*patch)
    advice = (
        f"add multiple_of={number} to ResizeShortSide, and choose multiples of {number} as sizes "
        "of crops"
    )
    kind = f"{where}: {type(backbone).__name__} has patches of {patch[0]} x {patch[1]} pixels"
    if photos is not None:
        others = [
            size for size in _some_sizes(photos()) if size[0] % patch[0] or size[1] % patch[1]
        ]
        if not others:
            print_log(
                f"{kind}, which cover the photos looked at; to make sure of all, {advice}",
                "current",
                level=logging.WARNING,
            )
            return
        found = f"there are images of {others[0][0]} x {others[0][1]}"
    elif divisor == 1:
        found = "images may have any sides"
    else:
        found = f"images have sides of multiples of {divisor}"
    raise LussError(
        f"{kind}, but {found}: feature maps would be shifted by up to a patch; {advice}"
    )


def _some_sizes(photos: Sequence) -> list[tuple[int, int]]:
    """Heights and widths of a few photos from all over a data set, as the model is given them."""
    step = max(1, len(photos) // _LOOKED_AT)
    indices = range(0, len(photos), step)[:_LOOKED_AT]
    return [tuple(photos[index]["inputs"].shape[-2:]) for index in indices]
