"""The mean attention is drawn towards what the views show of the photos' maps."""

import math

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from luss.errors import LussError
from luss.models import PixelAttentionTrainer
from luss.structures import ViewGeometry
from taught_foreground import PackViewsAndMap, TaughtAttentionTrainer, foreground_loss


def geometries(rows):
    return [ViewGeometry.unpack(torch.tensor(view, dtype=torch.float32)) for view in rows]


# Of two photos of 8 x 8: the left half, then the right half mirrored.
LEFT, RIGHT = (0, 0, 4, 8, 0, 8, 8), (4, 0, 4, 8, 1, 8, 8)
VIEWS = geometries([[LEFT, LEFT], [RIGHT, RIGHT]])


# Views that show a complete photo.
WHOLE = geometries([[(0, 0, 8, 8, 0, 8, 8)] * 3])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("bce", -(0.6 * math.log(0.2) + 0.4 * math.log(0.8))),
        ("l2", (0.6 - 0.2) ** 2),
    ],
)
def test_closed_forms(kind, expected):
    attention = torch.full((3, 1, 2, 2), 0.2)
    # 153 of 255 is 0.6.
    maps = torch.full((3, 1, 2, 2), 153, dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        found = foreground_loss(attention, maps, WHOLE, kind)
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["bce", "l2"])
def test_the_attention_that_is_taught_costs_least(kind):
    """Gradients vanish where each view sees its own part of its own photo's map."""
    columns = torch.tensor([0, 40, 90, 130, 160, 200, 230, 255])
    first = columns.expand(8, 8)
    maps = torch.stack([first, 255 - first])[:, None].to(torch.uint8)
    values = maps.float() / 255
    shown = torch.cat([values[..., :4], values[..., 4:].flip(3)]).clamp(0.02, 0.98)
    attention = shown.requires_grad_()
    foreground_loss(attention, maps, VIEWS, kind).backward()
    # Those at the ends were clamped.
    inner = (attention > 0.03) & (attention < 0.97)
    assert inner.sum() > 90
    assert attention.grad[inner].abs().max() < 1e-6
    worse = attention.detach().flip(0)
    least = foreground_loss(attention, maps, VIEWS, kind)
    assert foreground_loss(worse, maps, VIEWS, kind) > least + 0.01


CHANNELS = 64


def build(kind=TaughtAttentionTrainer, **settings):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("luss"):
        model = kind(
            backbone={
                "type": "mmselfsup.ResNet",
                "depth": 18,
                "stem_channels": 8,
                "base_channels": 8,
                "out_indices": (4,),
            },
            attention={"type": "PixelAttention", "channels": CHANNELS},
            clustering={
                "type": "Clustering",
                "in_channels": CHANNELS,
                "hidden_channels": 12,
                "embedding_channels": 8,
                "num_prototypes": 10,
            },
            **settings,
        )
    return model.train()


def views(count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, 3, 64, 64, generator=generator) for _ in range(2)]


def maps_and_geometry(count=4):
    """Maps that are foreground on the left; views that show whole photos, the second mirrored."""
    maps = torch.zeros(count, 1, 8, 8, dtype=torch.uint8)
    maps[..., :4] = 255
    whole = torch.tensor([0, 0, 64, 64, 0, 64, 64.0])
    mirrored = whole.clone()
    mirrored[4] = 1
    return {
        "foreground": maps,
        "geometry": torch.stack([whole, mirrored]).expand(count, -1, -1),
    }


def test_the_loss_is_joined_to_the_clustering_loss():
    taught, model = build(weight=0.75), build(PixelAttentionTrainer)
    assert taught.state_dict().keys() == model.state_dict().keys()
    losses = taught(views(), **maps_and_geometry(), mode="loss")
    own = model(views(), mode="loss")["loss_clustering"]
    torch.testing.assert_close(losses["loss_clustering"], own, rtol=0, atol=0)
    total, logged = taught.parse_losses(losses)
    expected = 0.25 * losses["loss_clustering"] + 0.75 * losses["loss_foreground"]
    torch.testing.assert_close(total, expected)
    assert logged.keys() == {"loss", "loss_clustering", "loss_foreground"}

    with torch.no_grad():
        features = taught.extract(torch.cat(views()))
        attention = taught.attention.mean_attention(features)
    width = attention.shape[3]
    left = torch.zeros_like(attention)
    left[:4, ..., : width // 2] = 1
    left[4:, ..., width // 2 :] = 1
    by_hand = -torch.where(left > 0.5, attention.log(), (1 - attention).log()).mean()
    assert losses["loss_foreground"].item() == pytest.approx(by_hand.item(), rel=0.05)


def test_attention_learns_what_it_is_taught():
    taught = build(weight=1.0)
    inputs, maps = views(), maps_and_geometry()
    # Brighter where the map is, so that there is something to see.
    inputs[0][..., :32] += 2
    inputs[1][..., 32:] += 2
    optimizer = torch.optim.SGD(taught.attention.parameters(), lr=3.0)
    history = []
    for _ in range(30):
        losses = taught(inputs, **maps, mode="loss")
        history.append(losses["loss_foreground"].item())
        optimizer.zero_grad()
        taught.parse_losses(losses)[0].backward()
        optimizer.step()
    assert history[-1] < 0.7 * history[0]


def test_batches_without_maps_are_rejected():
    with pytest.raises(LussError, match="PackViewsAndMap"):
        build()(views(), maps_and_geometry()["geometry"], mode="loss")
    with pytest.raises(LussError, match="LoadForegroundAsMask"):
        PackViewsAndMap().transform({"views": [], "geometry": np.zeros((0, 7), np.float32)})


def test_maps_are_packed_in_one_size():
    mask = np.zeros((6, 10), np.int32)
    mask[:, 5:] = 255
    view = np.zeros((4, 4, 3), np.uint8)
    geometry = np.zeros((1, 7), np.float32)
    packed = PackViewsAndMap(size=2).transform(
        {"views": [view], "geometry": geometry, "gt_seg_map": mask}
    )
    assert packed["foreground"].tolist() == [[[0, 255], [0, 255]]]
    assert packed["inputs"][0].shape == (3, 4, 4)


@pytest.mark.parametrize(
    "settings", [{"weight": 0}, {"weight": 1.1}, {"foreground_loss": "l1"}, {"size": 0}]
)
def test_settings_out_of_range_are_rejected(settings):
    kind = PackViewsAndMap if "size" in settings else build
    with pytest.raises(LussError, match=str(next(iter(settings.values())))):
        kind(**settings)
