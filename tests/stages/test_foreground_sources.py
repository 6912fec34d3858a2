"""Label generation with other sources of foreground than attention, and its config on its own."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.hooks import Hook
from tiny_run import REPOSITORY, read_tiny, run_tiny

from luss.configuration import read_config
from luss.datasets import read_mask
from luss.datasets.image_io import read_image
from luss.errors import LussError
from luss.label_generation.foreground import boundary_prior
from luss.label_generation.threshold_rules import AttentionHistogram, otsu_threshold
from luss.pipeline import Pipeline
from luss.pipeline.resolving import resolved_stage
from luss.registry import FOREGROUND_SOURCES, HOOKS, RUNNERS

KEY = "stages__label_generation__test_cfg__"


@pytest.fixture(scope="module")
def trained(finished_run, tmp_path_factory):
    """A run up to pixel attention."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    shutil.copytree(finished_run, folder)
    for stage in ("label_generation", "finetune", "evaluate"):
        shutil.rmtree(folder / stage)
    return folder


def label(trained, work_dir, resume=False, num_workers=0, **options):
    if not work_dir.exists():
        shutil.copytree(trained, work_dir)
    settings = {f"{KEY}{name}": value for name, value in options.items()}
    settings["num_workers"] = num_workers
    return run_tiny(work_dir, "label_generation", resume, **settings) / "label_generation"


def maps(folder, split="train"):
    root = folder / "foreground" / split
    return {
        path.relative_to(root).with_suffix("").as_posix(): cv2.imread(
            str(path), cv2.IMREAD_UNCHANGED
        )
        for path in root.glob("*/*.png")
    }


def photos(work_dir, split="train"):
    return {
        path.relative_to(work_dir / "data" / split).with_suffix("").as_posix(): read_image(path)
        for path in (work_dir / "data" / split).glob("*/*")
    }


@pytest.mark.parametrize("workers", [0, 2])
def test_a_prior_decides_what_is_foreground(trained, tmp_path, workers):
    folder = label(
        trained,
        tmp_path / "run",
        num_workers=workers,
        foreground__type="BoundaryPrior",
        foreground__clusters=2,
        threshold=0.6,
    )
    for image_id, image in photos(trained).items():
        expected = np.round(255 * boundary_prior(image, clusters=2))
        np.testing.assert_array_equal(maps(folder)[image_id], expected)
        labels = read_mask(folder / "pseudo_labels" / f"{image_id}.png")
        assert labels.shape == image.shape[:2]
        np.testing.assert_array_equal(labels > 0, expected / np.float32(255) >= np.float32(0.6))
    assert len(maps(folder, "validation")) == 2
    assert not (folder / "attention").exists()


def test_attention_is_kept_in_floats_and_not_written(finished_run, trained, tmp_path):
    plain = label(trained, tmp_path / "plain", foreground__type="Attention")
    assert not (plain / "foreground").exists()
    for path in (finished_run / "label_generation").glob("pseudo_labels/*/*.png"):
        again = plain / path.relative_to(finished_run / "label_generation")
        assert again.read_bytes() == path.read_bytes()


def test_a_threshold_of_each_image(trained, tmp_path):
    folder = label(
        trained,
        tmp_path / "run",
        foreground__type="BoundaryPrior",
        threshold={"_delete_": True, "type": "OtsuThreshold", "over": "image"},
    )
    assert json.loads((folder / "threshold.json").read_text())["threshold"] is None
    facts = json.loads((folder / "done.json").read_text())
    assert facts["threshold"] is None
    shares = []
    for image_id, levels in maps(folder).items():
        histogram = AttentionHistogram(tuple(step / 255 for step in range(256)))
        histogram.add(levels / np.float32(255))
        expected = levels / np.float32(255) >= np.float32(otsu_threshold(histogram))
        labels = read_mask(folder / "pseudo_labels" / f"{image_id}.png")
        np.testing.assert_array_equal(labels > 0, expected)
        shares.append(expected.mean())
    assert np.std(shares) > 0


def test_maps_that_are_whole_are_used_again(trained, tmp_path, monkeypatch):
    folder = label(trained, tmp_path / "undisturbed", foreground__type="BoundaryPrior")
    sync, left = os.fsync, [20]

    def sync_until_killed(descriptor):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        sync(descriptor)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "fsync", sync_until_killed)
        label(trained, tmp_path / "run", foreground__type="BoundaryPrior")
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("foreground/*/*/*.png")}
    assert 0 < len(made) < 18
    damaged = sorted(made)[1]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    again = label(trained, tmp_path / "run", resume=True, foreground__type="BoundaryPrior")
    assert [p for p in made if p.stat().st_mtime_ns != made[p]] == [damaged]
    for part in ("foreground", "pseudo_labels"):
        for path in (folder / part).rglob("*.png"):
            assert (again / path.relative_to(folder)).read_bytes() == path.read_bytes()
    # Maps of another source are not those.
    record = json.loads((again / "made.json").read_text())
    record["foreground"]["made_from"]["source's settings"] = "others"
    (again / "made.json").write_text(json.dumps(record))
    (again / "done.json").unlink()
    label(trained, tmp_path / "run", resume=True, foreground__type="BoundaryPrior")
    said = (tmp_path / "run" / "run.log").read_text()
    assert f"{again / 'foreground'} was computed from other" in said
    assert f"{again / 'pseudo_labels'} was computed from other" not in said


def test_the_config_of_the_stage_runs_on_its_own(trained, tmp_path):
    folder = label(trained, tmp_path / "run", foreground__type="CentrePrior")
    config = Config.fromfile(folder / "config.py")
    copy = tmp_path / "copy"
    config.work_dir = str(copy)
    config.run_log = None
    config.experiment_name = "copy"
    torch.manual_seed(1)
    facts = RUNNERS.build(config).test()
    assert facts["categories"] == 6
    for path in [*folder.glob("*.np?"), *folder.rglob("[fp]*/*/*.png")]:
        assert (copy / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_hooks_are_called_in_every_pass(trained, tmp_path):
    seen = []

    @HOOKS.register_module(force=True)
    class NoteTestsHook(Hook):
        def before_test(self, runner):
            seen.append("begin")

        def before_test_epoch(self, runner):
            seen.append([len(runner.test_dataloader), 0])

        def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            assert len(outputs) == len(data_batch["inputs"])
            seen[-1][1] += 1

        def after_test(self, runner):
            seen.append("end")

    shutil.copytree(trained, tmp_path / "run")
    pipeline = Pipeline(read_tiny(), str(tmp_path / "run"))
    with pipeline.opened() as context:
        stage = resolved_stage(pipeline.stages["label_generation"], context)
        config = stage.runner_config(context)
    RUNNERS.build(Config({**config, "custom_hooks": [{"type": "NoteTestsHook"}]})).test()
    # 18 photos in batches of 4, validation, the report's two, pixel by pixel.
    assert seen == ["begin", [5, 5], [6, 6], [2, 2], [18, 18], "end"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"foreground__type": "Atention"}, "foreground source 'Atention'.*mean 'Attention'"),
        ({"foreground__type": "CentrePrior", "foreground__sgma": 1}, "sgma"),
        ({"threshold__type": "OtsuTreshold"}, "threshold rule 'OtsuTreshold'"),
        ({"embedder__type": "ImageEmbedings"}, "embedder 'ImageEmbedings'"),
        ({"writer__type": "PixelLabel"}, "label writer 'PixelLabel'"),
    ],
)
def test_parts_that_are_none_are_refused_before_anything_runs(tmp_path, options, message):
    settings = {f"{KEY}{name}": value for name, value in options.items()}
    with pytest.raises(LussError, match=message):
        run_tiny(tmp_path, **settings)
    assert not (tmp_path / "pretrain").exists()


CONFIGS = sorted((REPOSITORY / "configs" / "pass").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_one_option_changes_the_source_in_every_config(path, tmp_path):
    options = {"stages.label_generation.test_cfg.foreground.type": "RegionContrast"}
    named = read_config(str(path)).stages.label_generation.test_cfg.get("foreground", {})
    if set(named) - {"type"}:
        # What belongs to the source that the config names goes along with it.
        options = {
            "stages.label_generation.test_cfg.foreground": {
                "type": "RegionContrast",
                "_delete_": True,
            }
        }
    config = read_config(str(path), options)
    stage = Pipeline(config, str(tmp_path)).stages["label_generation"]
    assert type(FOREGROUND_SOURCES.build(stage.test_cfg["foreground"])).__name__ == "RegionContrast"
