"""C2AM: what is trained, which side is the foreground, and that it is found."""

import pytest
import torch
from mmengine.registry import DefaultScope

from c2am import C2AM, disentangle, negative_pairs_loss, positive_pairs_loss
from c2am.trainer import frame_shares, joined_maps, lead_at_frame
from luss.errors import LussError
from luss.structures import ViewGeometry

SIDE = 64


def build(stages=(3, 4), **settings):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("luss"):
        model = C2AM(
            backbone={
                "type": "mmselfsup.ResNet",
                "depth": 18,
                "stem_channels": 8,
                "base_channels": 8,
                "out_indices": stages,
            },
            **settings,
        )
    return model.train()


def whole_views(count, views=1):
    """Geometry of views that show whole photos."""
    row = torch.tensor([0, 0, SIDE, SIDE, 0, SIDE, SIDE], dtype=torch.float32)
    return row.expand(count, views, -1)


def photos(count=6, seed=0):
    """Striped squares in the middle of flat photos."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.1 * torch.randn(count, 3, SIDE, SIDE, generator=generator)
    stripes = torch.arange(32) // 4 % 2 * 4 - 2.0
    images[:, :, 16:48, 16:48] += stripes
    return images


def test_losses_are_those_of_both_sides():
    model = build(alpha=0.4)
    inputs = [photos(seed=0), photos(seed=1)]
    losses = model(inputs, whole_views(6, views=2), mode="loss")
    with torch.no_grad():
        features = model.extract(torch.cat(inputs))
        assert features.shape == (12, 32 + 64, 4, 4)
        active, rest = disentangle(features, model.disentangler(features))
    torch.testing.assert_close(losses["loss_active"].detach(), positive_pairs_loss(active, 0.4))
    torch.testing.assert_close(losses["loss_rest"].detach(), positive_pairs_loss(rest, 0.4))
    torch.testing.assert_close(losses["loss_apart"].detach(), negative_pairs_loss(active, rest))
    total, logged = model.parse_losses(losses)
    torch.testing.assert_close(total, sum(v for k, v in losses.items() if k.startswith("loss")))
    assert "frame_lead" in logged


def test_maps_of_several_strides_are_joined_at_the_finest():
    first, second = torch.rand(2, 3, 4, 6), torch.rand(2, 5, 2, 3)
    found = joined_maps([first, second])
    assert found.shape == (2, 8, 4, 6)
    torch.testing.assert_close(found[:, :3], first)
    torch.testing.assert_close(found[:, 3:, 0, 0], second[:, :, 0, 0])
    flat = joined_maps([first, torch.full((2, 1, 2, 3), 0.3)])
    torch.testing.assert_close(flat[:, 3:], torch.full((2, 1, 4, 6), 0.3))


def test_a_frozen_backbone_stays_as_it_is():
    model = build()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    model([photos()], whole_views(6), mode="loss")["loss_apart"].backward()
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[name]), name
    trained = {name for name, p in model.named_parameters() if p.grad is not None}
    assert trained == {
        "disentangler.convolution.weight", "disentangler.norm.weight", "disentangler.norm.bias",
    }  # fmt: skip
    # Features are those of evaluation, with which maps are made.
    torch.testing.assert_close(model.extract(photos()), model.eval().extract(photos()))


def test_a_backbone_can_be_trained_along():
    model = build(frozen=[])
    model([photos()], whole_views(6), mode="loss")["loss_apart"].backward()
    assert model.backbone.conv1.weight.grad.abs().max() > 0
    assert int(model.backbone.bn1.num_batches_tracked) == 1


# ---- which side is the foreground --------------------------------------------------------------


def geometry(*rows):
    return ViewGeometry.unpack(torch.tensor(rows, dtype=torch.float32))


def test_a_whole_photo_shows_its_frame_all_around():
    shares = frame_shares(geometry([0, 0, 80, 40, 0, 80, 40]), (4, 4), 0.25)
    expected = torch.ones(4, 4)
    expected[1:3, 1:3] = 0
    torch.testing.assert_close(shares[0, 0], expected, atol=0.05, rtol=0)
    half = frame_shares(geometry([0, 0, 80, 40, 0, 80, 40]), (4, 4), 0.125)
    assert half[0, 0, 0, 1].item() == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize(("flip", "column"), [(0, 0), (1, 3)])
def test_a_crop_shows_the_frame_where_the_photo_ends(flip, column):
    """The left half of the photo's middle, as it is and mirrored."""
    shares = frame_shares(geometry([0, 40, 80, 80, flip, 160, 160]), (4, 4), 0.125)
    expected = torch.zeros(4, 4)
    expected[:, column] = 1
    torch.testing.assert_close(shares[0, 0], expected, atol=0.07, rtol=0)
    inside = frame_shares(geometry([40, 40, 80, 80, flip, 160, 160]), (4, 4), 0.125)
    assert inside.max() < 0.05


def test_the_lead_is_the_difference_of_means():
    shares = torch.tensor([1.0, 0.5, 0.0, 0.0]).view(1, 1, 2, 2)
    activation = torch.tensor([0.8, 0.2, 0.4, 0.6]).view(1, 1, 2, 2)
    at_frame, inside = (0.8 + 0.1) / 1.5, (0.1 + 0.4 + 0.6) / 2.5
    found = lead_at_frame(activation, shares, torch.tensor(0.3))
    assert found.item() == pytest.approx(at_frame - inside, rel=1e-5)
    opposite = lead_at_frame(1 - activation, shares, torch.tensor(0.3))
    torch.testing.assert_close(opposite, -found)
    # Without a frame in sight, and with nothing else, what was known holds.
    for blind in (torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)):
        assert lead_at_frame(activation, blind, torch.tensor(0.3)).item() == pytest.approx(0.3)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_object_is_found_whichever_side_is_active(sign):
    model = build(stages=(2, 3))
    with torch.no_grad():
        model.disentangler.convolution.weight.abs_().mul_(sign)
    optimizer = torch.optim.SGD(model.disentangler.parameters(), lr=0.05, momentum=0.9)
    history = []
    for step in range(40):
        losses = model([photos(seed=step)], whole_views(6), mode="loss")
        loss, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(losses["loss_apart"].item())
    assert history[-1] < 0.8 * history[0]
    model.eval()
    with torch.no_grad():
        found = model(photos(seed=99))
        activation = model.disentangler(model.extract(photos(seed=99)))
    assert float(model.frame_lead) * sign < -0.1
    assert torch.equal(found, activation if sign > 0 else 1 - activation)
    grid = found.shape[-1]
    inner = slice(grid // 4, grid - grid // 4)
    assert found[..., inner, inner].mean() > found.mean() + 0.1


def test_only_training_moves_the_lead():
    model = build()
    model([photos()], whole_views(6), mode="loss")
    lead = model.frame_lead.clone()
    assert lead != 0
    assert "frame_lead" in model.state_dict()
    model.eval()
    model([photos(seed=1)], whole_views(6), mode="loss")
    assert torch.equal(model.frame_lead, lead)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -1}, "alpha is -1"),
        ({"frame": 0.5}, "frame is 0.5"),
        ({"frame": 0.0}, "frame is 0.0"),
        ({"disentangler": {"in_channels": 64}}, "in_channels=64, but the maps .* have 96"),
    ],
)
def test_settings_out_of_range_are_rejected(settings, message):
    with pytest.raises(LussError, match=message):
        build(**settings)


def test_views_come_with_their_geometry():
    with pytest.raises(LussError, match="end the data set's pipeline with MultiCrop"):
        build()([photos()], mode="loss")
