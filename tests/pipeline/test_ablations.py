"""Every config of configs/ablations fits at full size, and runs on the demo data, made small."""

import json
import math

import numpy as np
import pytest
from made_up_tree import write_tree
from mmengine import Config
from tiny_run import REPOSITORY, predict_train

from luss.configuration import read_config
from luss.datasets import read_mask
from luss.label_generation import PixelLabeller
from luss.pipeline import Pipeline

CONFIGS = REPOSITORY / "configs" / "ablations"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.py"))
TRAINED = ("pretrain", "pixel_attention", "finetune")


def read(name, monkeypatch, data):
    monkeypatch.setenv("LUSS_ABLATIONS", data)
    return read_config(CONFIGS / f"{name}.py", {"num_workers": 0})


def one_more_category(config, classes):
    """Where a config says C + 1 categories, say so of other data."""
    if config.num_categories is not None:
        config.num_categories = classes + 1


def test_every_config_is_listed_with_its_row():
    listed = (CONFIGS / "README.md").read_text()
    assert len(NAMES) >= 20
    for name in NAMES:
        assert f"[`{name}.py`]({name}.py)" in listed, name
        first = (CONFIGS / f"{name}.py").read_text().splitlines()[0]
        assert first.startswith(("# Table ", "# Section ", "# Equation")), name


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree"), classes=3, images=11)


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_known_and_fits(name, tree, tmp_path, monkeypatch):
    config = read(name, monkeypatch, "in50")
    config.data_root = str(tree)
    one_more_category(config, 3)
    pipeline = Pipeline(config, str(tmp_path / "run"))
    with pipeline.opened() as context:
        for stage in pipeline.stages.values():
            pipeline.check(stage, context, made=list(pipeline.stages))


def shrink(settings):
    """Set sizes of images and crops, wherever they stand in the settings of a stage."""
    if isinstance(settings, dict):
        for key, size in (("size", 32), ("crop_size", 48)):
            if key in settings:
                settings[key] = 48 if settings.get("type") == "ResizeShortSide" else size
    parts = settings.values() if isinstance(settings, dict) else settings
    for part in parts:
        if isinstance(part, dict | list):
            shrink(part)


def small(name, monkeypatch):
    config = read(name, monkeypatch, "demo")
    config.data.update(size=48, train=3, train_semi=1, validation=1, test=1)
    config.default_hooks.logger.interval = 1
    one_more_category(config, 6)
    shrink(config.stages)
    config.stages.pop("report", None)
    for stage in TRAINED:
        if stage in config.stages:
            settings = config.stages[stage]
            settings.train_dataloader.update(batch_size=4)
            settings.train_dataloader.dataset.indices = 8
            settings.train_cfg.max_epochs = 1
            # Of warm-up and cosine, one epoch has no room for the second.
            settings.param_scheduler = settings.param_scheduler[-1:]
            settings.param_scheduler[0].pop("begin", None)
    if "label_generation" in config.stages:
        config.stages.label_generation.test_cfg.generator.update(restarts=1, iterations=3)
    return config


def later(config):
    """All stages but step 1; their learning rates take no other way through the code."""
    stages = {name: dict(stage) for name, stage in config.stages.items() if name != "pretrain"}
    for stage in stages.values():
        stage.pop("param_scheduler", None)
    return stages


@pytest.mark.parametrize("name", NAMES)
def test_step_1_runs(name, tmp_path, monkeypatch):
    """And so do the other steps, where they are not those of PASS."""
    config = small(name, monkeypatch)
    base = "pass_p" if "pixpro" in config.stages.pretrain.model.objectives else "pass_s"
    alike = later(config) == later(small(f"_base_/{base}", monkeypatch))
    Pipeline(config, str(tmp_path)).run("pretrain" if alike else None)
    check_step_1(config, tmp_path)
    if not alike:
        check_later_steps(name, config, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_all_stages_run(name, tmp_path, monkeypatch):
    config = small(name, monkeypatch)
    Pipeline(config, str(tmp_path)).run()
    check_step_1(config, tmp_path)
    check_later_steps(name, config, tmp_path)


def check_step_1(config, tmp_path):
    assert json.loads((tmp_path / "pretrain" / "done.json").read_text())["iterations"] == 2
    (scalars,) = tmp_path.glob("pretrain/*/vis_data/scalars.json")
    for line in map(json.loads, scalars.read_text().splitlines()):
        weights = config.stages.pretrain.model.loss_weights
        losses = [key for key in line if key.startswith("loss_")]
        weight_of = {
            loss: weight
            for loss in losses
            for key, weight in weights.items()
            if loss == key or loss.startswith(f"{key}_")
        }
        assert sorted(weight_of) == sorted(losses)
        total = sum(weight * line[loss] for loss, weight in weight_of.items())
        assert math.isfinite(total)
        assert line["loss"] == pytest.approx(total, rel=1e-3, abs=1e-3)


def check_later_steps(name, config, tmp_path):
    for stage in TRAINED[1:]:
        if stage in config.stages:
            assert json.loads((tmp_path / stage / "done.json").read_text())["iterations"] == 2
    results = json.loads((tmp_path / "results.json").read_text())
    protocols = {
        "evaluate": "fully_unsupervised",
        "evaluate_labels": "before_fine_tuning",
        "distance_matching": "distance_matching",
    }
    for protocol in {protocols[stage] for stage in config.stages if stage in protocols}:
        for split in ("val", "test"):
            assert 0 <= results[protocol][split]["mIoU"] <= 100
    if name in CHECKS:
        CHECKS[name](tmp_path)


def pseudo_labels(work_dir):
    """Of all photos, in the data set's order, which is that of their paths."""
    root = work_dir / "label_generation"
    with np.load(root / "centroids.npz") as arrays:
        clusters, centroids = arrays["assignments"], arrays["centroids"]
    return [read_mask(path) for path in sorted(root.glob("pseudo_labels/*/*.png"))], (
        clusters,
        centroids,
    )


def check_labels_of_images(work_dir):
    labels, (clusters, centroids) = pseudo_labels(work_dir)
    assert len(centroids) == 6
    for mask, cluster in zip(labels, clusters, strict=True):
        assert (mask == cluster + 1).all()
    predictions = [read_mask(p) for p in work_dir.glob("evaluate/predictions/*/*/*.png")]
    assert any((ids == 0).any() for ids in predictions)
    assert all((ids > 0).any() for ids in predictions)


def check_labels_of_pixels(work_dir):
    embeddings = np.load(work_dir / "label_generation" / "embeddings.npy")
    labels, (clusters, centroids) = pseudo_labels(work_dir)
    assert embeddings.ndim == 3
    assert len(embeddings) == len(labels) == len(clusters) == 18
    assert len(centroids) == 7
    assert len(np.unique(np.concatenate([mask.ravel() for mask in labels]))) > 1
    assert all(mask.min() >= 1 and mask.max() <= 7 for mask in labels)


def check_before_fine_tuning(work_dir):
    """Labels of training photos are predicted as they were written."""
    config = Config.fromfile(work_dir / "evaluate_labels" / "config.py")
    assert config.model.type == PixelLabeller.__name__
    written = sorted((work_dir / "label_generation" / "pseudo_labels").glob("*/*.png"))
    folder = predict_train(work_dir / "evaluate_labels" / "config.py")
    for path in written:
        again = folder / path.parent.name / path.name
        np.testing.assert_array_equal(read_mask(again), read_mask(path))
    assert len(written) == 18


CHECKS = {
    "labels_image_level": check_labels_of_images,
    "labels_pixel_level": check_labels_of_pixels,
    "before_fine_tuning": check_before_fine_tuning,
}
