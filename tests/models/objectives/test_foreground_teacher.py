"""The mean attention is drawn towards what the views show of the photos' maps."""

import math

import pytest
import torch

from luss.errors import LussError
from luss.models import ForegroundTeacher
from luss.models.objectives.foreground_teacher import foreground_loss
from luss.structures import ViewGeometry


def geometries(rows):
    return [ViewGeometry.unpack(torch.tensor(view, dtype=torch.float32)) for view in rows]


# Of two photos of 8 x 8: the left half, then the right half mirrored.
LEFT, RIGHT = (0, 0, 4, 8, 0, 8, 8), (4, 0, 4, 8, 1, 8, 8)
VIEWS = geometries([[LEFT, LEFT], [RIGHT, RIGHT]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("bce", -(0.75 * math.log(0.2) + 0.25 * math.log(0.8))),
        ("l2", (0.75 - 0.2) ** 2),
    ],
)
def test_closed_forms(kind, expected):
    attention, foreground = torch.full((3, 1, 2, 2), 0.2), torch.full((3, 1, 2, 2), 0.75)
    with torch.autocast("cpu", torch.bfloat16):
        found = foreground_loss(attention, foreground, kind)
    assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["bce", "l2"])
def test_the_attention_that_is_taught_costs_least(kind):
    """Gradients vanish where each view sees its own part of its own photo's map."""
    columns = torch.tensor([0, 40, 90, 130, 160, 200, 230, 255])
    first = columns.expand(8, 8)
    maps = torch.stack([first, 255 - first])[:, None].to(torch.uint8)
    values = maps.float() / 255
    shown = torch.cat([values[..., :4], values[..., 4:].flip(3)]).clamp(0.02, 0.98)
    attention = shown.requires_grad_()
    ForegroundTeacher(loss=kind)(attention, maps, VIEWS).backward()
    # Those at the ends were clamped.
    inner = (attention > 0.03) & (attention < 0.97)
    assert inner.sum() > 90
    assert attention.grad[inner].abs().max() < 1e-6
    worse = attention.detach().flip(0)
    teacher = ForegroundTeacher(loss=kind)
    assert teacher(worse, maps, VIEWS) > teacher(attention, maps, VIEWS) + 0.01


@pytest.mark.parametrize("settings", [{"weight": 0}, {"weight": 1.1}, {"loss": "l1"}])
def test_settings_out_of_range_are_rejected(settings):
    with pytest.raises(LussError, match=str(next(iter(settings.values())))):
        ForegroundTeacher(**settings)
