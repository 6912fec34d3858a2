"""Backbones on their own: weights by several names, and the feature map they give."""

import pytest
import torch
from mmengine.registry import init_default_scope
from tiny_networks import NARROW

from luss.errors import LussError
from luss.pipeline.protocols.backbone import (
    FeatureMap,
    build_backbone,
    last_feature_map,
    load_backbone_weights,
)
from luss.registry import MODELS


@pytest.fixture
def backbone():
    init_default_scope("luss")
    return MODELS.build(dict(NARROW))


@pytest.fixture
def weights(random_backbone):
    """Weights by the backbone's own names."""
    state = torch.load(random_backbone, weights_only=True)["state_dict"]
    return {name.removeprefix("backbone."): value for name, value in state.items()}


def openmmlab(weights):
    head = {"head.fc.weight": torch.zeros(2)}
    return {"state_dict": {f"backbone.{n}": v for n, v in weights.items()} | head, "meta": {}}


def bare(weights):
    return {**weights, "fc.weight": torch.zeros(3), "fc.bias": torch.zeros(3)}


def wrapped(weights):
    return {"model": {f"module.{name}": value for name, value in weights.items()}}


def without_counters(weights):
    return {n: v for n, v in weights.items() if not n.endswith("num_batches_tracked")}


@pytest.mark.parametrize("form", [openmmlab, bare, wrapped, without_counters])
def test_weights_of_several_origins(backbone, weights, form, tmp_path):
    torch.save(form(weights), tmp_path / "weights.pth")
    load_backbone_weights(backbone, tmp_path / "weights.pth")
    for name, value in backbone.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, weights[name])


def test_weights_that_do_not_fit(backbone, weights, tmp_path):
    path = tmp_path / "weights.pth"
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    for content, message in [
        ({n: v for n, v in weights.items() if n != "conv1.weight"}, r"1 of its \d+ .*conv1.weight"),
        (openmmlab({**weights, "layer9.weight": torch.zeros(1)}), "layer9.weight"),
        ({**weights, "conv1.weight": torch.zeros(1, 2)}, r"conv1.weight .* shape \(1, 2\)"),
        ({"state_dict": 3}, "no weights by name"),
    ]:
        torch.save(content, path)
        with pytest.raises(LussError, match=message):
            load_backbone_weights(backbone, path)
    assert all(torch.equal(value, before[n]) for n, value in backbone.state_dict().items())


def test_random_weights_are_those_of_the_seed():
    first, again, other = (
        build_backbone(dict(NARROW), None, torch.device("cpu"), seed).conv1.weight
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_last_feature_map():
    shallow, deep = torch.zeros(2, 3, 8, 8), torch.zeros(2, 5, 4, 4)
    token = torch.zeros(2, 5)
    for outputs in (deep, (deep,), [shallow, deep], (shallow, (deep, token)), [deep, token]):
        assert last_feature_map(outputs) is deep
    for outputs in (token, (), (deep, torch.zeros(2, 4, 5)), None):
        with pytest.raises(LussError, match="expected a feature map"):
            last_feature_map(outputs)


def test_the_output_of_a_named_layer(backbone):
    backbone.eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        stem = backbone.maxpool(backbone.relu(backbone.norm1(backbone.conv1(images))))
        torch.testing.assert_close(FeatureMap(backbone, "layer1")(images), backbone.layer1(stem))
        torch.testing.assert_close(FeatureMap(backbone)(images), backbone(images)[-1])
    with pytest.raises(LussError, match="no module 'layer5'; close to it are layer"):
        FeatureMap(backbone, "layer5")
