"""Sizes of photos that patches cover, and others."""

import copy

import pytest
import torch

from luss.errors import LussError
from luss.registry import MODELS
from luss.stages.patch_sizes import require_whole_patches

PLAIN_VIT = {
    "type": "mmcls.VisionTransformer",
    "arch": {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 16},
    "patch_size": 8,
    "img_size": 32,
}
SWIN = {
    "type": "mmcls.SwinTransformer",
    "arch": {"embed_dims": 8, "depths": [1] * 4, "num_heads": [1] * 4},
    "pad_small_map": True,
}


@pytest.mark.parametrize(
    ("backbone", "divisor", "fits"),
    [
        (PLAIN_VIT, 8, True),
        (PLAIN_VIT, 24, True),
        (PLAIN_VIT, 12, False),
        ({**PLAIN_VIT, "patch_size": 14, "img_size": 28}, 8, False),
        ({"type": "mmselfsup.ResNet", "depth": 18}, 7, True),
        (SWIN, 7, True),
    ],
)
def test_patches_cover_images(backbone, divisor, fits):
    built = MODELS.build(copy.deepcopy(backbone))
    for pipeline in (
        [{"type": "ResizeShortSide", "size": 50, "multiple_of": divisor}],
        [{"type": "ResizeShortSide", "size": 50}, {"type": "CenterCrop", "crop_size": divisor}],
    ):
        if fits:
            require_whole_patches(built, pipeline, "here")
            continue
        with pytest.raises(LussError, match=f"here: .*multiple_of={backbone['patch_size']} "):
            require_whole_patches(built, pipeline, "here")
    require_whole_patches(built, [{"type": "Own"}], "here")


def test_photos_are_looked_at_where_they_set_the_sides():
    built, pipeline = MODELS.build(dict(PLAIN_VIT)), [{"type": "ResizeShortSide", "size": 48}]
    photos = [{"inputs": torch.empty(3, 48, 64 + 8 * (number % 3))} for number in range(100)]
    require_whole_patches(built, pipeline, "here", lambda: photos)
    photos[60:] = [{"inputs": torch.empty(3, 48, 70)}] * 40
    with pytest.raises(LussError, match=r"of 48 x 70: .*multiple_of=8"):
        require_whole_patches(built, pipeline, "here", lambda: photos)
    with pytest.raises(LussError, match=r"any sides: .*multiple_of=8"):
        require_whole_patches(built, pipeline, "here")
