import math
from itertools import pairwise

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from luss.errors import LussError
from luss.models.objectives.momentum_encoder import MomentumEncoder, cosine_momentum

TOTAL = 8


@pytest.fixture(autouse=True)
def hub():
    """Says how long training is; the next test does not hear it."""
    hub = MessageHub.get_instance("momentum_encoder")
    hub.update_info("max_iters", TOTAL)
    yield hub
    hub.update_info("max_iters", 0)


def encoder(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def move(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))


@pytest.mark.parametrize(("base", "end"), [(0.99, 1.0), (0.5, 0.9)])
def test_the_momentum_rises_in_a_cosine(base, end):
    momenta = [cosine_momentum(step, 100, base, end) for step in range(101)]
    assert momenta[0] == pytest.approx(base)
    assert momenta[50] == pytest.approx((base + end) / 2)
    assert momenta[100] == pytest.approx(end)
    assert all(before < after for before, after in pairwise(momenta))


def test_the_copy_is_the_mean_of_what_the_encoder_was():
    """A slow reference in float64: the first time equal, then step by step."""
    model = encoder()
    copy = MomentumEncoder(model, 0.6)
    move(model)  # as weights are initialised after the copy was made
    expected = None
    for step in range(TOTAL):
        now = [parameter.detach().double() for parameter in model.parameters()]
        m = 1 - 0.4 * (math.cos(math.pi * step / TOTAL) + 1) / 2
        expected = (
            now
            if expected is None
            else [m * old + (1 - m) * new for old, new in zip(expected, now, strict=True)]
        )
        copy.update_parameters(model)
        for parameter, value in zip(copy.module.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.double(), value, rtol=1e-5, atol=1e-6)
        move(model)


def test_the_momentum_is_logged(hub):
    model = encoder()
    copy = MomentumEncoder(model, 0.99)
    found = []
    for _ in range(3):
        copy.update_parameters(model)
        found.append(hub.get_scalar("train/momentum").current())
    assert found == [cosine_momentum(step, TOTAL, 0.99) for step in range(3)]


def test_batch_statistics_are_the_copy_s_own():
    model = encoder().train()
    copy = MomentumEncoder(model).train()
    model(torch.randn(8, 3, 2, 2) + 5)
    copy.update_parameters(model)
    assert copy.module[1].running_mean.equal(torch.zeros(4))
    assert copy.module[1].num_batches_tracked == 0
    copy(torch.randn(8, 3, 2, 2))
    assert copy.module[1].num_batches_tracked == 1


def test_nothing_of_the_copy_is_trained():
    assert not any(parameter.requires_grad for parameter in MomentumEncoder(encoder()).parameters())


def test_a_loaded_copy_goes_on_with_its_schedule():
    torch.manual_seed(1)
    model = encoder()
    copy = MomentumEncoder(model, 0.6)
    for _ in range(3):
        copy.update_parameters(model)
        move(model)
    loaded = MomentumEncoder(encoder(seed=7), 0.6)
    loaded.load_state_dict(copy.state_dict())
    for _ in range(3):
        for one in (copy, loaded):
            one.update_parameters(model)
        move(model)
    for name, value in copy.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name


def test_an_unknown_length_of_training(hub):
    hub.update_info("max_iters", None)
    model = encoder()
    with pytest.raises(LussError, match="RuntimeInfoHook"):
        MomentumEncoder(model).update_parameters(model)
