"""Sizes of photos that the patches of a vision transformer cover exactly, checked before a run."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from luss.datasets.transforms.resizing import sides_divisor
from luss.errors import LussError
from luss.models.backbones import probe
from luss.models.backbones.feature_maps import patch_side

__all__ = ["require_whole_patches"]


def require_whole_patches(
    backbone: nn.Module,
    pipeline: Sequence[Mapping[str, Any]],
    where: str,
    run: Callable[[Tensor], list[Tensor]] | None = None,
) -> None:
    """Refuse sizes of images at which the last tokens lie beside the image, or leave out its edge.

    Feature maps are laid over the whole image. Where it is no multiple of the patch, those of a
    transformer that keeps its tokens would be shifted by up to a patch.

    Args:
        backbone: any; others than such transformers take any size.
        pipeline: configs of the transforms of its images.
        where: the place of the pipeline, for messages.
        run: from images (N, 3, H, W) to the feature maps that are used; by default the backbone's.

    Raises:
        LussError: if the pipeline does not make sure that both sides are multiples of the patch.
    """
    patch, divisor = patch_side(backbone), sides_divisor(pipeline)
    if patch is None or divisor is None or all(divisor % side == 0 for side in patch):
        return
    # Hierarchical networks join patches, and pad between their stages in any case.
    if probe(backbone, run=run)[-1].stride != round(math.sqrt(patch[0] * patch[1])):
        return
    number = math.lcm(*patch)
    raise LussError(
        f"{where}: {type(backbone).__name__} has patches of {patch[0]} x {patch[1]} pixels, but "
        f"images here may have sides that are no multiples of {number}, so that its feature maps "
        f"would be shifted by up to a patch; add multiple_of={number} to ResizeShortSide, and "
        f"choose multiples of {number} as sizes of crops"
    )
