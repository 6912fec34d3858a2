"""Weights named in ``init_cfg`` fill all of a part, or end in an error."""

import pytest
import torch
from mmengine.model import BaseModule, PretrainedInit
from torch import nn

from luss.engine.pretrained import fill, take_pretrained
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
    fill(pretrained)
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
        (lambda state: state.clear(), "7 of its|6 of its"),
        (lambda state: state.pop("conv.bias"), r"1 of its 7 .*\(conv\.bias\)"),
        (lambda state: state.update({"conv.more": torch.zeros(1)}), r"another one \(conv\.more\)"),
        (lambda state: state.update({"conv.weight": torch.zeros(3, 2, 3, 3)}), "size mismatch"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, weights, change, message):
    change(weights)
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(LussError, match=message):
        filled(str(tmp_path / "a.pth"), type="Pretrained")


@pytest.mark.parametrize("path", ["https://a/b.pth", "torchvision://resnet50", "absent.pth"])
def test_addresses_and_missing_files_are_refused(path):
    with pytest.raises(LussError, match=r"are an address|there is no checkpoint"):
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
