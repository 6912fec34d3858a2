"""BEiT of any size: as mmcls' at its own size, and as mmcls resizes a checkpoint at others."""

import copy

import pytest
import torch

from luss.errors import LussError
from luss.models.backbones import FeatureMap, extract_maps, probe
from luss.models.backbones.beit import relative_positions, resized_biases
from luss.models.backbones.filling import fill_from
from luss.models.backbones.weights import WeightsEntry
from luss.registry import MODELS

ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 16}
PLAIN = {"type": "mmcls.BEiT", "arch": ARCH, "img_size": 32, "patch_size": 8, "avg_token": False}
SHARED = {"use_rel_pos_bias": False, "use_shared_rel_pos_bias": True}
KINDS = [{}, SHARED, {"use_abs_pos_emb": True}]


def build(seed=0, **settings):
    torch.manual_seed(seed)
    backbone = MODELS.build(copy.deepcopy({**PLAIN, **settings}))
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    # Not chained: train() of mmcls' backbones returns nothing.
    backbone.eval()
    return backbone


@pytest.fixture(params=KINDS, ids=["own", "shared", "absolute"])
def pair(request):
    """A plain BEiT and one of any size with its weights; settings of both."""
    plain, any_size = build(1, **request.param), build(2, **request.param, type="AnySizeBEiT")
    any_size.load_state_dict(plain.state_dict())
    return plain, any_size, request.param


@pytest.mark.parametrize("size", [32, 64])
def test_maps_are_those_of_mmcls_with_resized_weights(pair, size):
    plain, any_size, settings = pair
    reference = build(3, **settings, img_size=size)
    fill_from(reference, plain.state_dict(), WeightsEntry("f"))
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = extract_maps(reference, images)[-1]
        torch.testing.assert_close(
            extract_maps(any_size, images)[-1], expected, rtol=1e-4, atol=1e-4
        )


def test_maps_of_photos_of_any_proportions(pair):
    _, any_size, _ = pair
    with torch.no_grad():
        wide, high = (
            extract_maps(any_size, images)[-1]
            for images in (torch.randn(1, 3, 40, 70), torch.randn(1, 3, 70, 40))
        )
    assert wide.shape == (1, 16, 5, 9)
    assert high.shape == (1, 16, 9, 5)


def test_several_sizes_train_the_same_biases():
    backbone = build(type="AnySizeBEiT")
    backbone.train()
    loss = sum(extract_maps(backbone, torch.randn(2, 3, size, size))[-1].sum() for size in (64, 32))
    loss.backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    table = backbone.layers[0].attn.relative_position_bias_table
    (only_large,) = torch.autograd.grad(
        extract_maps(backbone, torch.randn(2, 3, 64, 64))[-1].square().sum(), table
    )
    assert only_large.any()


@pytest.mark.parametrize("grid", [(4, 4), (3, 5)])
def test_positions_are_those_of_mmcls(grid):
    own = build(img_size=tuple(8 * side for side in grid)).layers[0].attn.relative_position_index
    assert torch.equal(relative_positions(grid), own.long())


def test_axes_are_resized_each_by_its_own_length():
    """A table that only varies along rows has equal columns after resizing to any width."""
    rows = torch.randn(7).repeat_interleave(9)
    table = torch.cat([rows, torch.tensor([1.0, 2.0, 3.0])])[:, None]
    resized = resized_biases(table, (4, 5), (6, 3))
    assert resized.shape == (11 * 5 + 3, 1)
    assert resized[-3:, 0].tolist() == [1, 2, 3]
    grid = resized[:-3].reshape(11, 5)
    torch.testing.assert_close(grid, grid[:, :1].expand(11, 5))
    assert grid[5, 0] == pytest.approx(float(rows[3 * 9]), abs=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        PLAIN,
        {"type": "mmseg.BEiT", "img_size": 32, "patch_size": 8, "embed_dims": 16,
         "num_layers": 2, "num_heads": 2},
    ],
    ids=["mmcls", "mmseg"],
)  # fmt: skip
def test_plain_ones_name_what_takes_any_size(config):
    backbone = MODELS.build(copy.deepcopy(config))
    assert len(probe(backbone)) == 1
    for use in (
        lambda: probe(backbone, (64, 64)),
        lambda: extract_maps(backbone, torch.zeros(1, 3, 32, 48)),
        lambda: FeatureMap(backbone)(torch.zeros(1, 3, 32, 48)),
    ):
        with pytest.raises(LussError, match=r"images of 32 x 32 pixels.*AnySizeBEiT"):
            use()


def test_too_few_patches_are_rejected():
    with pytest.raises(LussError, match=r"img_size=\(16, 16\) has \(2, 2\) patches"):
        build(type="AnySizeBEiT", img_size=16)
