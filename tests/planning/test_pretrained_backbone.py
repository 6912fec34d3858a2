"""``luss train --backbone``: from photos and a weight file to masks, without training one."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_preset import NETWORKS, add_small_preset

from luss.apis import FinishedRun
from luss.configuration import read_config
from luss.datasets.mask_codec import read_mask
from luss.errors import LussError
from luss.files import read_json
from luss.models.backbones.presets import PRESETS
from luss.pipeline import Pipeline
from luss.pipeline.work_dir import WorkDir
from luss.planning.foregrounds import NEAREST_CENTROID, PRETRAINED
from luss.planning.inspection import inspect_photos
from luss.planning.photo_run import PhotoRun
from luss.planning.schedule import trained_stages
from luss.planning.settings import Backbone
from luss.planning.survey import survey


@pytest.fixture(params=NETWORKS)
def backbone(request, monkeypatch, tmp_path):
    """A small preset, and a random file in its layout."""
    add_small_preset(monkeypatch, request.param, tmp_path / "weights.pth")
    return Backbone("small", str(tmp_path / "weights.pth"))


def test_photos_and_a_weight_file_become_masks(photo_folder, tmp_path, backbone):
    options = {
        "num_workers": 0,
        "short_side": 56,
        "stages.finetune.train_cfg.max_epochs": 2,
        "stages.report": None,
    }
    first = tmp_path / "first"
    arguments = {"minutes": 2, "foreground": "boundary-centre", "options": options}
    run = PhotoRun(
        str(photo_folder),
        str(first),
        3,
        backbone=backbone.name,
        weights=backbone.weights,
        **arguments,
    )
    assert run.run().startswith("Found 3 categories in 12 photos")
    masks = first / "evaluate" / "predictions" / "train"
    assert len(list(masks.rglob("*.png"))) == 12
    plan = read_json(first / "plan.json")
    assert plan["epochs"] == {"finetune": 2}
    assert plan["backbone"] == backbone._asdict()
    # The backbone of the fine-tuned model is that of the file.
    state = torch.load(first / "pretrain" / "iter_0.pth")["state_dict"]
    tuned = torch.load(first / "finetune" / "iter_4.pth")["state_dict"]
    assert state and all(torch.equal(tuned[name], value) for name, value in state.items())
    # A finished run is not repeated.
    assert "Found 3 categories" in run.run(resume=True)

    # config.py of a run has no such setting.
    del options["short_side"]
    # Another number of categories, with the same backbone.
    again = PhotoRun(str(photo_folder), str(tmp_path / "again"), 4, start=str(first), **arguments)
    assert "Found 4 categories" in again.run()
    assert read_json(tmp_path / "again" / "plan.json")["backbone"] == backbone._asdict()
    both = PhotoRun(str(photo_folder), start=str(first), backbone="small", **arguments)
    with pytest.raises(LussError, match=f"--from {first}"):
        both.settings(survey(str(photo_folder)), 3)


def test_masks_without_training(photo_folder, tmp_path, backbone):
    """And the same photos with and without a trained segmentor, one run from the other."""
    options = {"num_workers": 0, "short_side": 56}
    folder = tmp_path / "nearest"
    arguments = {"categories": 3, "finetune": False, "options": options}
    run = PhotoRun(
        str(photo_folder),
        str(folder),
        backbone=backbone.name,
        weights=backbone.weights,
        **arguments,
    )
    assert run.run().startswith("Found 3 categories in 12 photos")
    plan = read_json(folder / "plan.json")
    assert (plan["asked"]["finetune"], plan["epochs"]) == (False, {})
    assert "Found 3 categories" in run.run(resume=True)
    masks = sorted((folder / "evaluate" / "predictions" / "train").rglob("*.png"))
    assert len(masks) == 12
    assert (folder / "report" / "index.html").is_file()
    finished = FinishedRun.read(folder)
    assert finished.checkpoint == folder / "nearest_centroid" / "iter_0.pth"
    # Ids are those of the pseudo labels, up to edges, which PAMR moves and cells of other sizes.
    agreements = []
    for mask in masks:
        label = read_mask(folder / "label_generation" / "pseudo_labels" / mask.name)
        agreements.append((read_mask(mask) == label).mean())
    assert np.mean(agreements) > 0.8
    with pytest.raises(LussError, match="finetune was False, now True"):
        replace(run, finetune=True).run()
    with pytest.raises(LussError, match=r"--foreground prior .* --no-finetune"):
        replace(run, foreground="prior").settings(survey(str(photo_folder)), 3)
    with pytest.raises(LussError, match=r"--no-finetune needs .* --backbone"):
        replace(run, backbone=None, weights=None).settings(survey(str(photo_folder)), 3)

    del options["short_side"]
    tuned = PhotoRun(
        str(photo_folder), start=str(folder), options={"num_workers": 0}, foreground="prior"
    )
    config = tuned.config(survey(str(photo_folder)), 3)
    assert trained_stages(config) == ("finetune",)
    assert config.stages.pretrain.pretrained == str(folder / "pretrain" / "iter_0.pth")
    # Options of the first run.
    assert config.short_side == 56
    again = PhotoRun(str(photo_folder), str(tmp_path / "again"), start=str(folder), **arguments)
    assert "Found 3 categories" in again.run()


@pytest.mark.parametrize("backbone", ["resnet"], indirect=True)
def test_results_with_and_without_a_trained_segmentor(demo_root, tmp_path, backbone):
    """Where there are masks, the labels stand beside the classifier that learnt from them."""
    options = {
        "num_workers": 0,
        "short_side": 56,
        "stages.finetune.train_cfg.max_epochs": 2,
        "stages.report": None,
    }
    run = PhotoRun(
        str(demo_root),
        str(tmp_path / "tuned"),
        minutes=5,
        foreground="boundary-centre",
        backbone=backbone.name,
        weights=backbone.weights,
        options=options,
    )
    run.run()
    results = read_json(tmp_path / "tuned" / "results.json")
    assert set(results["fully_unsupervised"]) == {"val", "test"}
    of_labels = results["before_fine_tuning"]
    assert set(of_labels) == {"val"}
    # The threshold is that of the best mIoU of these labels.
    threshold = read_json(tmp_path / "tuned" / "label_generation" / "threshold.json")
    best = max(threshold["curve"]["values"])
    assert of_labels["val"]["mIoU"] == pytest.approx(best, abs=1e-9)
    provenance = results["provenance"]
    assert provenance["checkpoint"].startswith("finetune/iter_")
    assert provenance["before_fine_tuning"]["checkpoint"] == "pretrain/iter_0.pth"
    outputs = WorkDir(tmp_path / "tuned").outputs()
    assert outputs["predictions"].parent.name == "evaluate"
    assert FinishedRun.read(tmp_path / "tuned").stage == "evaluate"

    nearest = PhotoRun(
        str(demo_root),
        str(tmp_path / "nearest"),
        start=str(tmp_path / "tuned"),
        finetune=False,
    )
    nearest.run()
    results = read_json(tmp_path / "nearest" / "results.json")
    assert results.keys() >= {"fully_unsupervised", "provenance"}
    assert "before_fine_tuning" not in results
    assert results["provenance"]["checkpoint"] == "nearest_centroid/iter_0.pth"


def test_a_threshold_of_other_maps_is_rejected(photo_folder, tmp_path, backbone):
    options = {
        "data_root": str(photo_folder),
        "num_categories": 3,
        "num_workers": 0,
        "short_side": 56,
    }
    cfg = "stages.label_generation.test_cfg"
    for option, value, message in (
        (f"{cfg}.foreground.frame", 0.1, "frame=0.06"),
        (f"{cfg}.foreground", {"type": "CentrePrior", "_delete_": True}, "CentrePrior"),
        (f"{cfg}.threshold", {"type": "OtsuThreshold", "over": "image"}, "over='image'"),
    ):
        config = read_config(NEAREST_CENTROID, {**backbone.options(), **options, option: value})
        with pytest.raises(LussError, match=message):
            Pipeline(config, str(tmp_path / "run")).run()


def test_settings_of_a_backbone(photo_folder, backbone):
    multiple = PRESETS["small"].multiple
    run = PhotoRun(
        str(photo_folder),
        categories=3,
        backbone="small",
        weights=backbone.weights,
        options={"backbone.std": (1, 1, 1)},
    )
    config = run.config(survey(str(photo_folder)), 3)
    assert trained_stages(config) == ("finetune",)
    assert config.stages.pretrain.pretrained == "${facts.weights}"
    assert config.weights.file == backbone.weights
    normalisation = config.stages.finetune.model.data_preprocessor
    assert tuple(normalisation.mean) == (0.1, 0.2, 0.3)
    assert tuple(normalisation.std) == (1, 1, 1)
    assert config.short_side == 224 and config.multiple == multiple
    assert json.loads(json.dumps(run._arguments()))["backbone"] == "small"
    (line,) = inspect_photos(str(photo_folder), 3, backbone=backbone).lines[-1:]
    assert "features of small" in line and "Epochs: finetune 600" in line
    (line,) = inspect_photos(str(photo_folder), 3, backbone=backbone, finetune=False).lines[-1:]
    assert "train nothing" in line and "features of small" in line
    tuned = backbone._replace(tuned=True)
    (line,) = inspect_photos(str(photo_folder), 3, backbone=tuned).lines[-1:]
    assert "train small and" in line


def test_a_tuned_backbone_learns_from_the_first_epoch_on(photo_folder, tmp_path, backbone):
    """The head starts from zero, at the loss of chance."""
    options = {
        "num_workers": 0,
        "short_side": 56,
        "default_hooks.logger.interval": 1,
        "stages.finetune.train_cfg.max_epochs": 2,
        "stages.report": None,
    }
    run = PhotoRun(
        str(photo_folder),
        str(tmp_path / "run"),
        3,
        minutes=2,
        foreground="boundary-centre",
        options=options,
        backbone=backbone.name,
        weights=backbone.weights,
        tune=True,
    )
    run.run()
    plan = read_json(tmp_path / "run" / "plan.json")
    assert plan["asked"]["tune"] and plan["backbone"] == {**backbone._asdict(), "tuned": True}
    (scalars,) = (tmp_path / "run" / "finetune").glob("*/vis_data/scalars.json")
    losses = [json.loads(line)["loss"] for line in scalars.read_text().splitlines()]
    assert losses[0] == pytest.approx(math.log(4), rel=1e-5)
    assert all(loss < math.log(4) for loss in losses[len(losses) // 2 :])
    before = torch.load(tmp_path / "run" / "pretrain" / "iter_0.pth")["state_dict"]
    (last,) = (tmp_path / "run" / "finetune").glob(f"iter_{len(losses)}.pth")
    after = torch.load(last)["state_dict"]
    kept = {name for name, value in before.items() if torch.equal(after[name], value)}
    # Batch norms keep their statistics.
    assert kept == {name for name in before if re.search("running|num_batches", name)}
    with pytest.raises(LussError, match="tune was True, now False"):
        replace(run, tune=False).run(resume=True)


def test_tuning_needs_a_pretrained_backbone(photo_folder, tmp_path):
    found = survey(str(photo_folder))
    with pytest.raises(LussError, match="--backbone NAME"):
        PhotoRun(str(photo_folder), categories=3, tune=True).settings(found, 3)
    with pytest.raises(LussError, match=f"--from {tmp_path}"):
        PhotoRun(str(photo_folder), start=str(tmp_path), tune=True).settings(found, 3)


def test_the_threshold_follows_the_foreground(photo_folder, backbone):
    run = PhotoRun(str(photo_folder), categories=3, backbone="small", weights=backbone.weights)
    found = survey(str(photo_folder))
    assert replace(run, foreground="prior").config(found, 3).threshold.value == 0.5
    for name in ("boundary-centre", "region-contrast"):
        config = replace(run, foreground=name).config(found, 3)
        assert config.threshold == {"type": "AutoThreshold"}
        given = {"threshold": 0.3}
        assert replace(run, foreground=name, options=given).config(found, 3).threshold == 0.3


def test_the_config_needs_weights(photo_folder, tmp_path):
    options = {"data_root": str(photo_folder), "num_categories": 3}
    with pytest.raises(LussError, match="weights=FILE"):
        Pipeline(read_config(PRETRAINED, options), str(tmp_path / "run")).run()


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("dinov2_vits14", None, r"dinov2_vits14_pretrain\.pth"),
        ("dinov2_vits14", "missing.pth", r"missing\.pth"),
        ("dinov2_vits", "missing.pth", "dinov2_vits"),
        (None, "w.pth", "luss backbones w.pth"),
    ],
)
def test_wrong_backbones(photo_folder, name, weights, message):
    run = PhotoRun(str(photo_folder), categories=3, backbone=name, weights=weights)
    with pytest.raises(LussError, match=message):
        run.settings(survey(str(photo_folder)), 3)


def test_a_frozen_backbone_has_no_attention(photo_folder, backbone):
    run = PhotoRun(
        str(photo_folder), backbone="small", weights=backbone.weights, foreground="attention"
    )
    with pytest.raises(LussError, match="attention"):
        run.settings(survey(str(photo_folder)), 3)
