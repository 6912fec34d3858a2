"""Data sets of other kinds, and samplers of others, through the tiny pipeline."""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from states import assert_same
from tiny_run import FAULTY, read_tiny

from luss.datasets import draw_demo_data, read_mask
from luss.engine.checkpoint import load
from luss.errors import LussError
from luss.pipeline import Pipeline

CLASSES = [f"shape {number}" for number in range(1, 7)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn") / "data"
    draw_demo_data(root, size=48, train=3, train_semi=1, validation=1, test=1)
    return root


def photos_and_masks(drawn, split):
    for path in sorted((drawn / split).glob("*/*")):
        mask = drawn / f"{split}-segmentation" / path.parent.name / f"{path.stem}.png"
        yield path.stem, Image.open(path), read_mask(mask) if mask.exists() else None


def write_palette(path, ids):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.where(ids == 1000, 255, ids).astype(np.uint8), "P")
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    image.save(path)


@pytest.fixture(scope="module")
def voc(drawn, tmp_path_factory):
    """The demo data in VOC's layout."""
    root = tmp_path_factory.mktemp("voc")
    lists = {"train": "train", "labelled": "train-semi", "val": "validation", "test": "test"}
    for name, split in lists.items():
        names = []
        for stem, photo, mask in photos_and_masks(drawn, split):
            names.append(f"{split}_{stem}")
            path = root / "JPEGImages" / f"{names[-1]}.jpg"
            path.parent.mkdir(exist_ok=True)
            photo.save(path, quality=95)
            # The masks of a test split are not public.
            if mask is not None and split != "test":
                write_palette(root / "SegmentationClass" / f"{names[-1]}.png", mask)
        path = root / "ImageSets" / "Segmentation" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(names))
    return root


def config_of(root, data, **options):
    config = read_tiny(**options)
    config.data, config.data_root = data, str(root)
    return config


def run(config, work_dir, only=None, resume=False):
    Pipeline(config, str(work_dir)).run(only, resume)
    return work_dir


def test_a_voc_folder_runs_through_all_stages(voc, tmp_path):
    data = {"type": "VOCFolder", "classes": CLASSES}
    config = config_of(voc, {**data, "lists": {"train-semi": "labelled"}})
    found = run(config, tmp_path / "run")
    results = json.loads((found / "results.json").read_text())["fully_unsupervised"]
    assert list(results) == ["val"]
    assert 0 <= results["val"]["mIoU"] <= 100
    threshold = json.loads((found / "label_generation" / "threshold.json").read_text())
    assert threshold["method"] == "validation mIoU"
    # Test has no masks here: it is predicted, and not measured.
    names = {path.parent.name for path in found.glob("evaluate/predictions/*/*.png")}
    assert names == {"validation", "test"}
    labels = {path.stem for path in found.glob("label_generation/pseudo_labels/*.png")}
    assert len(labels) == 18
    assert all(name.startswith("train_") for name in labels)
    assert list(Pipeline(config, str(found)).evaluate("distance_matching")) == ["val"]
    facts = json.loads((found / "results.json").read_text())["provenance"]
    assert facts["distance_matching"]["bank"].endswith("of 6 images")


def test_masks_that_do_not_fit_the_classes_of_voc_are_found_first(voc, tmp_path):
    data = {"type": "VOCFolder", "classes": CLASSES[:4]}
    with pytest.raises(LussError, match=r"(?s)validation: 2 masks do not fit.*data.classes"):
        run(config_of(voc, data), tmp_path / "run")
    assert not (tmp_path / "run" / "pretrain").exists()


def test_the_report_and_the_second_pass_read_masks_as_the_data_set_says(voc, tmp_path):
    """More categories than classes: what is left over joins others, which needs a second pass."""
    data = {"type": "VOCFolder", "classes": CLASSES}
    options = {"num_categories": 8, "matcher__unmatched": "best"}
    config = config_of(voc, data, **options)
    config.stages["report"] = {"type": "Report"}
    found = run(config, tmp_path / "run")
    assert 'alt="Truth for' in (found / "report" / "index.html").read_text()
    assert "val" in json.loads((found / "results.json").read_text())["fully_unsupervised"]


def test_photos_with_masks_are_measured_themselves(drawn, tmp_path):
    root = tmp_path / "data"
    for stem, photo, mask in photos_and_masks(drawn, "validation"):
        (root / "images").mkdir(parents=True, exist_ok=True)
        photo.save(root / "images" / f"{stem}.png")
        write_palette(root / "masks" / f"{stem}.png", mask)
    (root / "classes.txt").write_text("\n".join(CLASSES))
    found = run(config_of(root, {}), tmp_path / "run")
    assert "val" in json.loads((found / "results.json").read_text())["fully_unsupervised"]
    log = (found / "run.log").read_text()
    assert f"{root} is read as ImageMaskFolder" in log
    assert "6 of the 6 TRAINING photos" in log


OTHERS = {
    **FAULTY,
    "num_categories": 6,
    "stages__pretrain__train_dataloader__sampler": {"_delete_": True, "type": "DefaultSampler"},
    "stages__finetune__train_dataloader__sampler": {
        "_delete_": True,
        "type": "torch.utils.data.WeightedRandomSampler",
        "weights": [1.0] * 9 + [3.0] * 9,
        "num_samples": 18,
    },
}
TRAINED = ("pretrain", "pixel_attention", "label_generation", "finetune")


def stop_once(stage, iteration):
    """A plan that ends the process, as far as it can be seen, in one iteration of a stage."""
    stopped = []

    def plan(runner):
        if Path(runner.work_dir).name == stage and runner.iter == iteration and not stopped:
            stopped.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

    return plan


def test_a_data_set_of_mmcls_and_samplers_of_others_resume_exactly(drawn, tmp_path, fault):
    photos, moved = tmp_path / "photos", tmp_path / "moved"
    shutil.copytree(drawn / "train", photos)
    config = config_of(photos, {"type": "mmcls.CustomDataset"}, **OTHERS)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for stage in TRAINED:
        run(config, whole, stage)
    # Epochs have 4 iterations. Where the photos lie may change.
    for stage in TRAINED:
        if stage == "pixel_attention":
            photos.rename(moved)
            config.data_root = str(moved)
        if stage in ("pretrain", "finetune"):
            fault.plan = stop_once(stage, 6)
            with pytest.raises(SystemExit):
                run(config, killed, stage)
        run(config, killed, stage, resume=True)
    for stage in ("pretrain", "finetune"):
        assert_same(*(weights_of(root, stage) for root in (whole, killed)))
    labels = {path.name for path in whole.glob("label_generation/pseudo_labels/*/*.png")}
    assert len(labels) == 18


def weights_of(work_dir, stage):
    facts = json.loads((work_dir / stage / "done.json").read_text())
    return load(work_dir / stage / facts["checkpoint"])["state_dict"]
