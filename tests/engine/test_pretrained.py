"""Weights named in ``init_cfg`` fill all of a part, or end in an error."""

import pytest
import torch
from mmengine.model import BaseModule, PretrainedInit
from torch import nn

from luss.engine.pretrained import load_pretrained, take_pretrained
from luss.errors import LussError


class Part(BaseModule):
    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.conv = nn.Conv2d(2, 3, 1)
        self.norm = nn.BatchNorm2d(3)


class Whole(BaseModule):
    def __init__(self, init_cfg):
        super().__init__()
        self.backbone = Part(init_cfg)


@pytest.fixture
def weights():
    return {key: value + 1 for key, value in Part().state_dict().items()}


def filled(path, **config):
    model = Whole(
        [{"type": "Constant", "layer": "Conv2d", "val": 0}, config | {"checkpoint": path}]
    )
    pretrained = take_pretrained(model)
    model.init_weights()
    assert not model.backbone.conv.weight.any()
    load_pretrained(pretrained)
    return model.backbone


@pytest.mark.parametrize("kind", ["Pretrained", "mmengine.Pretrained", PretrainedInit])
@pytest.mark.parametrize("prefix", [None, "backbone", "backbone."])
def test_all_of_a_part_is_filled(tmp_path, weights, kind, prefix):
    path = str(tmp_path / "a.pth")
    named = {f"backbone.{key}": value for key, value in weights.items()} if prefix else weights
    named["head.weight"] = torch.zeros(3)
    torch.save({"state_dict": named}, path)
    part = filled(path, type=kind, prefix=prefix)
    for key, value in part.state_dict().items():
        assert torch.equal(value, weights[key])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.clear(), "set key"),
        (lambda state: state.pop("conv.bias"), r"1 of its 7 .*\(conv\.bias\)"),
        (lambda state: state.update({"conv.more": torch.zeros(1)}), r"another one \(conv\.more\)"),
        (
            lambda state: state.update({"conv.weight": torch.zeros(3, 2, 3, 3)}),
            r"conv\.weight .*, Part expects \(3, 2,",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, weights, change, message):
    change(weights)
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(LussError, match=message):
        filled(str(tmp_path / "a.pth"), type="Pretrained")


@pytest.mark.parametrize("path", ["https://a/b.pth", "torchvision://resnet50", "absent.pth"])
def test_addresses_and_missing_files_are_refused(path):
    with pytest.raises(LussError, match=r"are a URL|there is no checkpoint"):
        filled(path, type="Pretrained")


def test_code_is_not_executed(tmp_path, monkeypatch):
    made = tmp_path / "made"

    class Executes:
        def __reduce__(self):
            return (open, (str(made), "w"))

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    torch.save({"state_dict": Executes()}, tmp_path / "evil.pth")
    with pytest.raises(LussError, match="never loads checkpoints that would execute code"):
        filled(str(tmp_path / "evil.pth"), type="Pretrained")
    assert not made.exists()


def overridden(base, override):
    """A model of two parts, initialised by an ``init_cfg`` with ``override``."""
    model = Whole(None)
    model.other = Part()
    model.init_cfg = {**base, "override": override}
    pretrained = take_pretrained(model)
    model.init_weights()
    load_pretrained(pretrained)
    return model


ZEROS = {"type": "Constant", "layer": "Conv2d", "val": 0}


def test_override_fills_the_part_that_it_names(tmp_path, weights):
    torch.save(weights, tmp_path / "a.pth")
    entry = {"type": "Pretrained", "checkpoint": str(tmp_path / "a.pth"), "name": "backbone"}
    ones = {"type": "Constant", "name": "other", "layer": "Conv2d", "val": 1}
    for override in (entry, [ones, entry]):
        model = overridden(ZEROS, override)
        for key, value in model.backbone.state_dict().items():
            assert torch.equal(value, weights[key])
        assert (model.other.conv.weight == (override is not entry)).all()


def test_override_that_does_not_fit_is_refused(tmp_path, weights):
    weights.pop("conv.bias")
    torch.save(weights, tmp_path / "a.pth")
    entry = {"type": "Pretrained", "checkpoint": str(tmp_path / "a.pth"), "name": "backbone"}
    with pytest.raises(LussError, match=r"does not fit Part: 1 of its 7 .*\(conv\.bias\)"):
        overridden(ZEROS, entry)
    with pytest.raises(LussError, match=r"names part 'neck' of Whole, whose parts are backbone"):
        overridden(ZEROS, {**entry, "name": "neck"})


def test_override_of_a_part_that_comes_from_a_file_is_refused(tmp_path):
    base = {"type": "Pretrained", "checkpoint": str(tmp_path / "a.pth")}
    with pytest.raises(LussError, match=r"Whole .* from a file, .*'override'"):
        overridden(base, {**ZEROS, "name": "other"})


def test_later_and_outer_files_count(tmp_path, weights):
    for factor, name in enumerate(("first", "second", "outer"), start=1):
        state = {key: value * factor for key, value in weights.items()}
        names = {f"backbone.{key}": value for key, value in state.items()}
        torch.save(names if name == "outer" else state, tmp_path / f"{name}.pth")
    files = [
        {"type": "Pretrained", "checkpoint": str(tmp_path / f"{name}.pth")}
        for name in ("first", "second")
    ]
    model = Whole(files)
    load_pretrained(take_pretrained(model))
    assert torch.equal(model.backbone.conv.weight, 2 * weights["conv.weight"])
    model = Whole(files)
    model.init_cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "outer.pth")}
    load_pretrained(take_pretrained(model))
    assert torch.equal(model.backbone.conv.weight, 3 * weights["conv.weight"])


def test_known_layouts_and_renaming_are_as_those_of_weights(tmp_path, weights):
    named = {f"backbone.{key}": value for key, value in weights.items()}
    named["head.weight"] = torch.zeros(1)
    torch.save({"state_dict": named}, tmp_path / "whole.pth")
    part = filled(str(tmp_path / "whole.pth"), type="Pretrained", layout="openmmlab")
    assert torch.equal(part.conv.weight, weights["conv.weight"])
    odd = {f"net.{key.replace('conv', 'c')}": value for key, value in weights.items()}
    torch.save({"ema": odd}, tmp_path / "odd.pth")
    part = filled(
        str(tmp_path / "odd.pth"), type="Pretrained", key="ema", prefix="net", rename={"^c": "conv"}
    )
    assert torch.equal(part.norm.bias, weights["norm.bias"])
    with pytest.raises(LussError, match=r"init_cfg of Part\.prefx .*'prefix'"):
        filled("a.pth", type="Pretrained", prefx="backbone.")
