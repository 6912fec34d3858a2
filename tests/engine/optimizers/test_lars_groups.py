import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from luss.engine.optimizers import LARS, LARSOptimWrapperConstructor
from luss.errors import LussError


def model():
    torch.manual_seed(0)
    parts = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2), nn.Linear(2, 2)
    )
    parts[4].requires_grad_(False)
    return parts


def build(parts, **settings):
    optimizer = {"type": LARS, "lr": 0.5, "weight_decay": 0.1, "decay_first": True}
    constructor = LARSOptimWrapperConstructor(
        {"type": OptimWrapper, "optimizer": optimizer}, **settings
    )
    return constructor(parts).optimizer


def test_biases_and_norms_are_left_out():
    parts = model()
    adapted, excluded = build(parts).param_groups
    names = {id(parameter): name for name, parameter in parts.named_parameters()}
    assert [names[id(parameter)] for parameter in adapted["params"]] == ["0.weight", "3.weight"]
    assert [names[id(parameter)] for parameter in excluded["params"]] == [
        "0.bias",
        "1.weight",
        "1.bias",
        "3.bias",
    ]
    assert (adapted["weight_decay"], adapted["lars_exclude"]) == (0.1, False)
    assert (excluded["weight_decay"], excluded["lars_exclude"]) == (0.0, True)
    assert adapted["decay_first"]
    assert adapted["lr"] == excluded["lr"] == 0.5


def test_what_is_left_out_takes_the_plain_gradient():
    parts = model()
    optimizer = build(parts)
    before = {name: parameter.detach().clone() for name, parameter in parts.named_parameters()}
    parts(torch.randn(8, 3, 1, 1)).square().sum().backward()
    optimizer.step()
    for name, parameter in parts.named_parameters():
        if name.startswith("4"):
            assert torch.equal(parameter, before[name])
        elif name.endswith("bias") or name == "1.weight":
            torch.testing.assert_close(parameter, before[name] - 0.5 * parameter.grad)
        else:
            decayed = parameter.grad + 0.1 * before[name]
            rate = 0.001 * before[name].norm() / (decayed.norm() + 1e-8)
            torch.testing.assert_close(parameter, before[name] - 0.5 * rate * decayed)


def test_settings_by_parameter_are_refused():
    with pytest.raises(LussError, match=r"paramwise_cfg is .*take it out"):
        build(model(), paramwise_cfg={"custom_keys": {}})
