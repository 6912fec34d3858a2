"""The command ``tools/convert_checkpoint.py``, and what becomes of its output."""

import json

import pytest
import torch
from tiny_run import TINY, finish, read_tiny, start

from luss.engine.checkpoint import load
from luss.registry import MODELS


@pytest.fixture
def released(tmp_path):
    """A file of a tiny ResNet-18 as the released code saves it."""
    backbone = MODELS.build(dict(read_tiny().stages.pretrain.model.backbone))
    state = {f"module.{name}": value for name, value in backbone.state_dict().items()}
    state["module.prototypes.weight"] = torch.randn(10, 128)
    torch.save({"epoch": 200, "state_dict": state}, tmp_path / "released.pth.tar")
    return tmp_path / "released.pth.tar"


def convert(source, out, *arguments):
    return finish(start("convert_checkpoint.py", source, "--to", "luss", "--out", out, *arguments))


def test_a_released_file_takes_the_place_of_step_1(tmp_path, released):
    out = tmp_path / "ours.pth"
    code, said = convert(released, out)
    assert code == 0, said
    assert f"{released}: pretrained, ResNet-18, 121 tensors" in said
    options = {
        "num_workers": 0,
        "weights": out,
    }
    code, said = finish(
        start("train.py", TINY, "--work-dir", tmp_path / "run", "--stage", "pretrain", **options)
    )
    assert code == 0, said
    done = json.loads((tmp_path / "run" / "pretrain" / "done.json").read_text())
    assert done["weights"] == str(out)
    taken = load(tmp_path / "run" / "pretrain" / done["checkpoint"])["state_dict"]
    before = load(released)["state_dict"]
    for name, value in (
        ("backbone.layer4.1.conv2.weight", before["module.layer4.1.conv2.weight"]),
        ("objectives.clustering.prototypes.weight", before["module.prototypes.weight"]),
    ):
        assert torch.equal(taken[name], value)


def test_what_does_not_fit_ends_in_one_sentence(tmp_path, released):
    code, said = convert(released, tmp_path / "ours.pth", "--kind", "finetuned")
    assert code == 2
    assert said.startswith(f"error: {released} has 1 tensors that a ResNet-18 of kind 'finetuned'")
    assert not (tmp_path / "ours.pth").exists()
