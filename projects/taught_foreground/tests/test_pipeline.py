"""Attention taught by the maps of a stage, and the config."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
from states import Killed, assert_same
from tiny_run import FAULTY, outcome, run_tiny

from luss.configuration import read_config
from luss.engine.checkpoint import load
from luss.errors import LussError

CONFIG = Path(__file__).parents[1] / "configs" / "taught_foreground.py"
VIEWS = [
    {"type": "LoadRGBImage"},
    {"type": "LoadForegroundAsMask", "folder": "${foreground.maps}/train"},
    {"type": "MultiCrop", "views": [{"count": 2, "size": 32, "scale": (0.3, 1.0)}]},
    {"type": "PackViewsAndMap"},
]
HOOKED = {key: hooks for key, hooks in FAULTY.items() if "pretrain" not in key}
"""Pretraining is that of a run without the hook."""
TAUGHT = {
    "stages__foreground": {
        "type": "Test",
        "before": "pixel_attention",
        "test_dataloader": {"splits": "${facts.splits}", "dataset": {}},
        "test_cfg": {"type": "ForegroundLoop", "foreground": {"type": "CentrePrior"}},
    },
    "stages__pixel_attention__model__type": "TaughtAttentionTrainer",
    "stages__pixel_attention__model__weight": 0.75,
    "stages__pixel_attention__train_dataloader__dataset__pipeline": VIEWS,
}


@pytest.fixture(scope="module")
def taught(pretrained, tmp_path_factory):
    """A complete run; do not write to it."""
    folder = tmp_path_factory.mktemp("taught") / "run"
    shutil.copytree(pretrained, folder)
    return run_tiny(folder, resume=True, **HOOKED, **TAUGHT)


def test_the_maps_change_only_attention(pretrained, taught, tmp_path):
    shutil.copytree(pretrained, tmp_path / "run")
    plain = run_tiny(tmp_path / "run", "pixel_attention", **HOOKED)
    own, theirs = (
        load(root / "pixel_attention" / "iter_8.pth")["state_dict"] for root in (taught, plain)
    )
    assert own.keys() == theirs.keys()
    learnt = [name for name in own if name.startswith("attention")]
    assert any(not torch.equal(own[name], theirs[name]) for name in learnt)
    kept = [name for name in own if name.startswith("backbone")]
    kept += [name for name in own if "projector" in name and name.endswith(("weight", "bias"))]
    assert len(kept) > 20
    for name in kept:
        assert torch.equal(own[name], theirs[name]), name
    (scalars,) = taught.glob("pixel_attention/*/vis_data/scalars.json")
    assert all("loss_foreground" in json.loads(line) for line in scalars.open())
    assert (taught / "results.json").exists()


def test_a_killed_run_ends_the_same(pretrained, taught, tmp_path, fault):
    shutil.copytree(pretrained, tmp_path / "run")

    def kill(runner):
        if runner.work_dir.endswith("pixel_attention") and runner.iter == 6:
            raise Killed

    fault.plan = kill
    with pytest.raises(Killed):
        run_tiny(tmp_path / "run", resume=True, **HOOKED, **TAUGHT)
    fault.plan = None
    assert (tmp_path / "run" / "pixel_attention" / "iter_4.pth").exists()
    run_tiny(tmp_path / "run", resume=True, **HOOKED, **TAUGHT)
    assert_same(outcome(taught), outcome(tmp_path / "run"))


def test_views_without_maps_are_rejected_before_anything_runs(tmp_path):
    without = [step for step in VIEWS if step["type"] != "LoadForegroundAsMask"]
    options = {**TAUGHT, "stages__pixel_attention__train_dataloader__dataset__pipeline": without}
    with pytest.raises(LussError, match="LoadForegroundAsMask"):
        run_tiny(tmp_path, **options)
    assert not (tmp_path / "pretrain").exists()


def test_the_config_adds_only_maps_and_their_loss():
    ours = read_config(CONFIG).stages
    theirs = read_config("luss::pass/pass_s_photos_prior.py").stages
    order = list(theirs)
    order.insert(order.index("pixel_attention"), "foreground")
    assert list(ours) == order
    labels, plain = (stages.label_generation for stages in (ours, theirs))
    assert ours.foreground.test_cfg.foreground == plain.test_cfg.foreground
    source = {"type": "FolderOfMaps", "folder": "${foreground.maps}"}
    assert labels.test_cfg.foreground == source
    assert labels.test_cfg.embedder == plain.test_cfg.embedder
    assert labels.test_dataloader == plain.test_dataloader
    stage = copy.deepcopy(ours.pixel_attention)
    assert stage.model.pop("weight") == 0.9
    assert stage.model.pop("type") == "TaughtAttentionTrainer"
    steps, plain = (
        each.train_dataloader.dataset.pipeline for each in (stage, theirs.pixel_attention)
    )
    assert [step for step in steps if step.type in ("LoadRGBImage", "MultiCrop")] == plain[:-1]
    assert [step.type for step in steps if step not in plain] == [
        "LoadForegroundAsMask",
        "PackViewsAndMap",
    ]
    for same in ("pretrain", "finetune", "evaluate"):
        assert ours[same] == theirs[same]
