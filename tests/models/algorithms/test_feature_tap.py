"""Views are found again among the images that went through a backbone."""

import pytest
import torch
from torch import nn

from luss.models.algorithms.feature_tap import FeatureTap, rows_of_views

generator = torch.Generator().manual_seed(0)
LARGE = [torch.randn(3, 3, 8, 8, generator=generator) for _ in range(2)]
SMALL = [torch.randn(3, 3, 4, 4, generator=generator) for _ in range(3)]
VIEWS = LARGE + SMALL


@pytest.mark.parametrize(
    ("images", "views"),
    [
        (LARGE[1], [1]),
        (LARGE[1].clone(), [1]),
        (torch.cat(LARGE), [0, 1]),
        (torch.cat(SMALL), [2, 3, 4]),
        (torch.cat(SMALL[1:]), [3, 4]),
        (torch.stack(LARGE, 1).flatten(0, 1), [0, 1]),
        (torch.stack(SMALL, 1).flatten(0, 1), [2, 3, 4]),
    ],
)
def test_known_arrangements(images, views):
    found = rows_of_views(images, VIEWS)
    assert list(found) == views
    for view, rows in found.items():
        assert torch.equal(images[rows], VIEWS[view])


@pytest.mark.parametrize(
    "images",
    [
        LARGE[0].flip(3),
        torch.cat(LARGE).flip(0),
        torch.cat([LARGE[0], LARGE[0].flip(3)]),
        LARGE[0][:2],
        torch.cat([*LARGE, LARGE[0]]),
    ],
)
def test_other_images(images):
    assert rows_of_views(images, VIEWS) == {}


def test_the_tap_keeps_maps_while_asked():
    class Pairs(nn.Module):
        def forward(self, images):
            return [(images + 1, images.mean()), (images + 2, images.mean())]

    backbone = Pairs()
    tap = FeatureTap(backbone)
    backbone(LARGE[0])
    with tap.recording() as calls:
        backbone(LARGE[1])
    backbone(LARGE[0])
    ((images, maps),) = calls
    assert images is LARGE[1]
    assert [torch.equal(map_, LARGE[1] + add) for map_, add in zip(maps, (1, 2), strict=True)]
