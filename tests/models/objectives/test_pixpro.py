import math

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn
from torch._subclasses import FakeTensorMode

from luss.errors import LussError
from luss.models.objectives.pixpro import PixPro, consistency_loss
from luss.structures import ViewFeatures, ViewGeometry, near_pixels

# Two overlapping pairs of views, the second one mirrored, and a pair without overlap.
FIRST = [[0, 0, 60, 40, 0, 90, 80], [5, 5, 30, 30, 1, 60, 50], [0, 0, 9, 9, 0, 70, 70]]
SECOND = [[10, 5, 60, 60, 1, 90, 80], [0, 0, 50, 40, 0, 60, 50], [50, 50, 9, 9, 0, 70, 70]]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def geometries():
    return [ViewGeometry.unpack(torch.tensor(rows).float()) for rows in (FIRST, SECOND)]


class Backbone(nn.Module):
    """One convolution of stride 8, and a shallower map, as a backbone of two outputs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 8, stride=8)

    def forward(self, images):
        features = self.conv(images)
        return [features, features.relu()]


def build(seed=0, **settings):
    MessageHub.get_current_instance().update_info("max_iters", 10)
    torch.manual_seed(seed)
    backbone = Backbone()
    settings = {"in_channels": 6, "hidden_channels": 8, "embedding_channels": 5, **settings}
    pixpro = PixPro(**settings)
    pixpro.set_backbone(backbone)
    return pixpro, backbone


def views_of(backbone, images):
    maps = dict(zip((3, 4), backbone(torch.cat(images[:2])), strict=True))
    return ViewFeatures([maps], len(images[0]), geometries(), images=images)


# The loss


def plain_loss(queries, keys, near):
    """Pair by pair."""
    losses = []
    for image in range(len(queries)):
        ours, theirs = (maps[image].flatten(1).T.tolist() for maps in (queries, keys))
        cosines = []
        for i, a in enumerate(ours):
            for j, b in enumerate(theirs):
                if near[image, i, j]:
                    product = sum(x * y for x, y in zip(a, b, strict=True))
                    cosines.append(product / (math.hypot(*a) * math.hypot(*b)))
        losses.append(-2 * sum(cosines) / (len(cosines) + 1e-6))
    return sum(losses) / len(losses)


def test_the_loss_equals_a_plain_loop():
    queries, keys = draw(3, 5, 2, 3), draw(3, 5, 2, 3, seed=1)
    near = draw(3, 6, 6, seed=2) > 0.5
    near[2] = False
    found = consistency_loss(queries, keys, near).item()
    assert found == pytest.approx(plain_loss(queries, keys, near), abs=1e-6)


@pytest.mark.parametrize("factor", [1.0, 0.01, 30.0])
def test_equal_pixels_reach_the_smallest_loss(factor):
    maps, near = draw(3, 5, 2, 3), torch.eye(6, dtype=torch.bool).expand(3, -1, -1)
    assert consistency_loss(maps, factor * maps, near).item() == pytest.approx(-2, abs=1e-5)
    assert consistency_loss(maps, -factor * maps, near).item() == pytest.approx(2, abs=1e-5)


def test_an_image_without_pairs_counts_as_0():
    maps, near = draw(2, 5, 2, 3), torch.eye(6, dtype=torch.bool).repeat(2, 1, 1)
    near[1] = False
    assert consistency_loss(maps, maps, near).item() == pytest.approx(-1, abs=1e-5)


# The objective


@pytest.mark.parametrize("distance", [0.7, 2.0])
def test_each_view_predicts_the_copy_of_the_other(distance):
    pixpro, backbone = build(max_distance=distance)
    pixpro.eval()
    backbone.eval()
    images = [draw(3, 3, 32, 32, seed=seed) for seed in (1, 2)]
    corners = [geometry.corners() for geometry in geometries()]
    near = near_pixels(*corners, (4, 4), distance)
    assert near[:2].any(dim=(1, 2)).all()
    queries = [pixpro.propagation(pixpro.projector(backbone(view)[1])) for view in images]
    keys = [pixpro.momentum_encoder(view) for view in images]
    expected = plain_loss(queries[0], keys[1], near)
    expected += plain_loss(queries[1], keys[0], near.transpose(1, 2))
    assert pixpro(views_of(backbone, images))[""].item() == pytest.approx(expected, abs=1e-5)


def test_the_copy_follows_once_before_it_is_asked():
    pixpro, backbone = build(momentum=0.5)
    images = [draw(3, 3, 32, 32, seed=seed) for seed in (1, 2)]
    seen = []
    pixpro.momentum_encoder.register_forward_pre_hook(
        lambda module, _: seen.append(module.module.backbone.conv.weight.clone())
    )
    before = backbone.conv.weight.detach().clone()
    pixpro(views_of(backbone, images))
    with torch.no_grad():
        backbone.conv.weight.add_(1)
    pixpro(views_of(backbone, images))
    momentum = 1 - 0.5 * (math.cos(math.pi / 10) + 1) / 2
    torch.testing.assert_close(seen[0], before)
    torch.testing.assert_close(seen[1], before + (1 - momentum))
    assert len(seen) == pixpro.momentum_encoder.steps == 2
    pixpro.eval()(views_of(backbone, images))
    assert pixpro.momentum_encoder.steps == 2


def test_all_but_the_copy_is_trained():
    pixpro, backbone = build()
    images = [draw(3, 3, 32, 32, seed=seed) for seed in (1, 2)]
    pixpro(views_of(backbone, images))[""].backward()
    for name, parameter in [*pixpro.named_parameters(), *backbone.named_parameters()]:
        if name.startswith("momentum_encoder"):
            assert parameter.grad is None, name
        elif name == "projector.0.bias":
            continue  # batch norm takes it away again
        else:
            assert parameter.grad.norm() > 0, name


def test_the_backbone_is_a_part_of_the_copy_alone():
    pixpro, backbone = build()
    theirs = {id(parameter) for parameter in backbone.parameters()}
    assert not theirs & {id(parameter) for parameter in pixpro.parameters()}
    assert {name.split(".")[0] for name in pixpro.state_dict()} == {
        "projector",
        "propagation",
        "momentum_encoder",
    }


def test_the_settings_are_those_of_the_published_code():
    pixpro = PixPro(in_channels=6)
    first, _, _, last = pixpro.projector
    assert (first.out_channels, last.out_channels) == (4096, 256)
    assert first.bias is not None
    assert last.bias is not None
    assert (pixpro.max_distance, pixpro.momentum, pixpro.propagation.sharpness) == (0.7, 0.99, 2)


def test_views_whose_photos_have_no_size():
    pixpro, backbone = build()
    views = views_of(backbone, [draw(3, 3, 32, 32, seed=seed) for seed in (1, 2)])
    for geometry in views.geometry:
        geometry.photo_sizes = None
    with pytest.raises(LussError, match="width and height of their photos"):
        pixpro(views)


def test_half_precision_ends_in_float32():
    pixpro, backbone = build()
    images = [draw(3, 3, 32, 32, seed=seed) for seed in (1, 2)]
    expected = build()[0](views_of(backbone, images))[""]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = pixpro(views_of(backbone, images))[""]
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), abs=0.1)
    maps = draw(2, 5, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        near = torch.eye(6, dtype=torch.bool).expand(2, -1, -1)
        assert consistency_loss(maps.bfloat16(), maps, near).dtype == torch.float32


def test_a_step_never_waits_for_the_device():
    # A tensor without data raises when a value is read, and cannot be copied.
    pixpro, backbone = build()
    with FakeTensorMode(allow_non_fake_inputs=True):
        images = [torch.randn(3, 3, 32, 32) for _ in range(2)]
        maps = dict(zip((3, 4), backbone(torch.cat(images)), strict=True))
        geometry = [ViewGeometry.unpack(torch.empty(3, 7)) for _ in range(2)]
        for _ in range(2):
            loss = pixpro(ViewFeatures([maps], 3, geometry, images=images))[""]
        loss.backward()
