"""Refinement of maps and ids at the photo's edges."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from luss.errors import LussError
from luss.models.refiners import PAMR, refine_ids
from luss.registry import MODELS


@pytest.fixture
def scene():
    """A photo of two discs, and their ids."""
    random = np.random.default_rng(0)
    ids = np.zeros((60, 80), np.int32)
    cv2.circle(ids, (24, 26), 15, 3, -1)
    cv2.circle(ids, (58, 34), 13, 7, -1)
    colours = np.array(
        [[90, 130, 80], [0] * 3, [0] * 3, [210, 60, 40], *[[0] * 3] * 3, [40, 60, 200]]
    )
    photo = np.clip(colours[ids] + random.normal(0, 6, (60, 80, 3)), 0, 255).astype(np.uint8)
    return torch.from_numpy(photo).permute(2, 0, 1), torch.from_numpy(ids).long()


def coarse(ids, size=(8, 10)):
    """Ids at the resolution of a feature map."""
    small = F.interpolate(ids[None, None].float(), size=size, mode="nearest")
    return F.interpolate(small, size=ids.shape, mode="nearest")[0, 0].long()


def wrong(found, ids):
    return float((found != ids).float().mean())


def test_edges_move_to_those_of_the_photo(scene):
    photo, ids = scene
    before = coarse(ids)
    after = refine_ids(MODELS.build({"type": "luss.PAMR"}), photo, before)
    assert after.dtype == torch.int64
    assert set(after.unique().tolist()) == {0, 3, 7}
    assert wrong(after, ids) < wrong(before, ids) / 3


def test_ids_that_do_not_occur_need_no_map(scene):
    """The result is that of the masks of all 10 classes."""
    photo, ids = scene
    before = coarse(ids)
    masks = F.one_hot(before, 10).permute(2, 0, 1).float()
    expected = PAMR()(photo, masks).argmax(dim=0)
    assert torch.equal(refine_ids(PAMR(), photo, before), expected)


def test_maps_do_not_depend_on_each_other(scene):
    """Any number of maps, each refined alone and within its range; a common sum is kept."""
    photo, _ = scene
    maps = torch.randn(19, 60, 80, generator=torch.manual_seed(0)).softmax(dim=0)
    refined = PAMR(iterations=2)(photo, maps)
    for index in (0, 7, 8, 18):
        (alone,) = PAMR(iterations=2)(photo, maps[index : index + 1])
        torch.testing.assert_close(refined[index], alone)
    assert (refined.amin(dim=(1, 2)) >= maps.amin(dim=(1, 2))).all()
    assert (refined.amax(dim=(1, 2)) <= maps.amax(dim=(1, 2))).all()
    torch.testing.assert_close(refined.sum(dim=0), torch.ones(60, 80))


def test_a_uniform_photo_gives_the_plain_mean():
    values = torch.rand(1, 9, 11, generator=torch.manual_seed(0))
    refined = PAMR(iterations=1, dilations=(2,))(torch.full((3, 9, 11), 77).byte(), values)
    padded = F.pad(values[None], (2,) * 4, mode="replicate")
    kernel = torch.ones(1, 1, 3, 3)
    kernel[..., 1, 1] = 0
    torch.testing.assert_close(refined[None], F.conv2d(padded, kernel / 8, dilation=2))


def test_one_id_is_kept_without_a_refiner(scene):
    photo, ids = scene

    class Fails(nn.Module):
        def forward(self, photo, maps):
            raise AssertionError

    same = torch.full_like(ids, 5)
    assert torch.equal(refine_ids(Fails(), photo, same), same)


def test_a_larger_photo_is_resized_to_the_ids(scene):
    photo, ids = scene
    large = F.interpolate(photo[None].float(), scale_factor=3, mode="nearest")[0].byte()
    after = refine_ids(PAMR(), large, coarse(ids))
    assert after.shape == ids.shape
    assert wrong(after, ids) < wrong(coarse(ids), ids) / 3


@pytest.mark.parametrize("setting", [{"iterations": 0}, {"width": 0}, {"dilations": ()}])
def test_invalid_settings_are_rejected(setting):
    with pytest.raises(LussError, match=r"PAMR: .*positive"):
        PAMR(**setting)


def test_maps_of_another_size_are_rejected(scene):
    with pytest.raises(LussError, match=r"\(60, 70\).*\(60, 80\)"):
        PAMR()(scene[0], torch.zeros(1, 60, 70))
