"""``luss backbones``: its table, the backbones that a file fits, and the settings of one."""

import argparse
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "backbones"))

from official import FILES, with_values

from luss.commands.backbones import run
from luss.errors import LussError
from luss.models.backbones.presets import PRESETS


def printed(capsys, what=None):
    run(argparse.Namespace(what=None if what is None else str(what)))
    return capsys.readouterr().out


def names(table):
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")]
    return rows[1:]


def test_all_backbones(capsys):
    assert names(printed(capsys)) == list(PRESETS)


def test_backbones_that_a_file_fits(capsys, tmp_path):
    content = with_values(FILES["pixpro_resnet50"]())
    torch.save(content, tmp_path / "pixpro.pth")
    table = printed(capsys, tmp_path / "pixpro.pth")
    assert names(table) == ["pixpro_resnet50"]
    assert "100.0%" in table
    del content["model"]["module.encoder.conv1.weight"]
    torch.save(content, tmp_path / "pixpro.pth")
    table = printed(capsys, tmp_path / "pixpro.pth")
    assert names(table)[0] == "pixpro_resnet50"
    assert "99." in table
    torch.save({"w": torch.zeros(2)}, tmp_path / "other.pth")
    assert "other.pth fits no backbone" in printed(capsys, tmp_path / "other.pth")


def test_settings_of_a_backbone_are_python(capsys):
    found = {}
    exec(printed(capsys, "dinov2_vits14"), found)
    assert found["weights"] == {"file": "FILE", "layout": "dinov2"}
    assert (found["multiple"], found["size"]) == (14, 518)


def test_neither_backbone_nor_file(tmp_path):
    for what, message in [
        (tmp_path / "none.pth", r"none\.pth"),
        ("none.pth", r"none\.pth"),
        ("dinov2_vits", "'dinov2_vits14'"),
    ]:
        with pytest.raises(LussError, match=message):
            run(argparse.Namespace(what=str(what)))
