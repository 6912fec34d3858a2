"""Weights of several origins, from a file into a backbone."""

import pytest
import torch
from mmengine.registry import init_default_scope

from luss.engine.foreign_weights import build_backbone, fill_backbone
from luss.errors import LussError
from luss.models.backbones.presets import Preset, fitting
from luss.registry import MODELS

NARROW = {"type": "mmselfsup.ResNet", "depth": 18, "stem_channels": 8, "base_channels": 8}


@pytest.fixture
def backbone():
    init_default_scope("luss")
    return MODELS.build(dict(NARROW))


@pytest.fixture
def weights():
    """Weights by the backbone's own names."""
    init_default_scope("luss")
    return MODELS.build(dict(NARROW)).state_dict()


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
    fill_backbone(backbone, tmp_path / "weights.pth")
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
        ({"state_dict": 3}, "set key"),
    ]:
        torch.save(content, path)
        with pytest.raises(LussError, match=message):
            fill_backbone(backbone, path)
    assert all(torch.equal(value, before[n]) for n, value in backbone.state_dict().items())


def test_the_message_names_the_preset_that_the_file_fits(backbone, tmp_path, monkeypatch):
    facts = dict.fromkeys(("network", "trained", "labels", "file", "source", "licence"), "")
    deeper = Preset(backbone={**NARROW, "depth": 34}, weights={}, **facts)
    monkeypatch.setattr(fitting, "PRESETS", {"deeper": deeper})
    state = MODELS.build(deeper.backbone_config()).state_dict()
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    with pytest.raises(LussError, match="fits the backbone deeper of luss backbones"):
        fill_backbone(backbone, path)
    del state["conv1.weight"]
    torch.save(state, path)
    with pytest.raises(LussError, match=r"nearest backbone .* is deeper \(99%"):
        fill_backbone(backbone, path)


def test_code_in_a_file_is_not_run(backbone, weights, tmp_path):
    class Touch:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    torch.save({**weights, "extra": Touch()}, tmp_path / "weights.pth")
    with pytest.raises(LussError):
        fill_backbone(backbone, tmp_path / "weights.pth")
    assert not (tmp_path / "made").exists()


def test_random_weights_are_those_of_the_seed():
    first, again, other = (
        build_backbone(dict(NARROW), None, seed).conv1.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
