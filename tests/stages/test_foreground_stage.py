"""Maps as a stage of their own, and embeddings pooled over them."""

import os
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine import Config
from states import Killed, assert_same
from tiny_run import FAULTY, evaluation_of_labels, outcome, read_tiny, run_tiny

from luss.datasets import read_mask
from luss.datasets.image_io import read_image
from luss.engine.checkpoint import load
from luss.errors import LussError
from luss.label_generation.foreground import boundary_prior, centre_prior, mean_of_ranks
from luss.pipeline import Pipeline
from luss.registry import DATASETS, MODELS, RUNNERS

PRIOR = {"type": "MeanOfRanks", "sources": [{"type": "BoundaryPrior"}, {"type": "CentrePrior"}]}
EMBEDDING = [
    {"type": "LoadRGBImage"},
    {"type": "ResizeShortSide", "size": 48},
    {"type": "LoadForegroundAsMask", "folder": "${foreground.maps}/train"},
    {"type": "CenterCrop", "crop_size": 32},
    {"type": "PackInputs"},
]
FOUND = {"type": "FolderOfMaps", "folder": "${foreground.maps}"}
HOOKED = {key: hooks for key, hooks in FAULTY.items() if "pretrain" not in key}
"""Pretraining is that of a run without the hook."""
WITH_MAPS = {
    "stages__foreground": {
        "type": "Test",
        "before": "pixel_attention",
        "test_dataloader": {"splits": "${facts.splits}", "dataset": {}},
        "test_cfg": {"type": "ForegroundLoop", "foreground": PRIOR},
    },
    "stages__label_generation__test_cfg__foreground": {
        "type": "FolderOfMaps",
        "folder": "${foreground.maps}",
    },
    "stages__label_generation__test_cfg__embedder__type": "ForegroundEmbeddings",
    "stages__label_generation__test_dataloader__embedding__dataset__pipeline": EMBEDDING,
    "stages__label_generation__test_cfg__threshold": 0.6,
}


def evaluated_labels(**options):
    return {**options, "stages__evaluate_labels": evaluation_of_labels(**options)}


@pytest.fixture(scope="module")
def mapped(pretrained, tmp_path_factory):
    """A complete run with such a stage; do not write to it."""
    folder = tmp_path_factory.mktemp("mapped") / "run"
    shutil.copytree(pretrained, folder)
    return run_tiny(folder, resume=True, **HOOKED, **WITH_MAPS)


def test_maps_are_those_of_the_source(mapped):
    maps = sorted((mapped / "foreground" / "maps").rglob("*.png"))
    assert len(maps) == 18 + 6 + 6
    for path in maps:
        photo = mapped / "data" / path.relative_to(mapped / "foreground" / "maps")
        image = read_image(photo.with_suffix(".JPEG"))
        prior = mean_of_ranks([boundary_prior(image), centre_prior(*image.shape[:2])])
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(found, np.round(255 * prior))


def test_labels_follow_the_maps(mapped):
    folder = mapped / "label_generation" / "pseudo_labels"
    for path in sorted((mapped / "foreground" / "maps" / "train").rglob("*.png")):
        levels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) / np.float32(255)
        name = path.relative_to(mapped / "foreground" / "maps" / "train")
        np.testing.assert_array_equal(read_mask(folder / name) > 0, levels >= np.float32(0.6))


@pytest.fixture(scope="module")
def evaluated(mapped, tmp_path_factory):
    """The same run, whose labels are evaluated, too; not to be written to."""
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(mapped, folder)
    return run_tiny(folder, "evaluate_labels", **HOOKED, **evaluated_labels(**WITH_MAPS))


def test_labels_of_maps_that_are_yet_to_come_can_be_evaluated(tmp_path):
    pipeline = Pipeline(read_tiny(**evaluated_labels(**WITH_MAPS)), str(tmp_path / "run"))
    with pipeline.opened() as context:
        for stage in pipeline.stages.values():
            pipeline.check(stage, context, made=list(pipeline.stages))


def test_labels_of_evaluated_photos_follow_the_maps_of_their_split(evaluated):
    predictions = evaluated / "evaluate_labels" / "predictions"
    found = sorted(predictions.rglob("*.png"))
    assert len(found) == 6 + 6
    for path in found:
        name = evaluated / "foreground" / "maps" / path.relative_to(predictions)
        levels = cv2.imread(str(name), cv2.IMREAD_UNCHANGED) / np.float32(255)
        np.testing.assert_array_equal(read_mask(path) > 0, levels >= np.float32(0.6))


def test_a_photo_of_another_split_with_the_same_id_has_a_map_of_its_own(evaluated, tmp_path):
    config = Config.fromfile(evaluated / "evaluate_labels" / "config.py")
    loader = config.test_dataloader["validation"]
    item = DATASETS.build(loader["dataset"])[0]
    image_id = item["data_samples"].image_id
    for split, level in (("train", 255), ("validation", 0)):
        path = tmp_path / split / f"{image_id}.png"
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), np.full((4, 4), level, np.uint8))
    config.model.foreground.folder = str(tmp_path)
    model = MODELS.build(config.model)
    (sample,) = model.test_step(as_batch(item))
    assert not sample.pred_sem_seg.data.any()


def test_labels_of_training_photos_are_predicted_as_they_were_written(evaluated):
    """Of maps that label generation keeps in 8 bits, and that are made anew here."""
    config = Config.fromfile(evaluated / "evaluate_labels" / "config.py")
    dataset = config.test_dataloader["validation"]["dataset"]
    dataset.update(split="train", require_masks=False, photo_list="")
    config.model.foreground = PRIOR
    model = MODELS.build(config.model).eval()
    checkpoint = load(evaluated / "pixel_attention" / "iter_8.pth")
    model.load_state_dict(checkpoint["state_dict"])
    for item in DATASETS.build(dataset):
        (sample,) = model.test_step(as_batch(item))
        written = evaluated / "label_generation" / "pseudo_labels" / f"{sample.image_id}.png"
        np.testing.assert_array_equal(sample.pred_sem_seg.data[0], read_mask(written))


def as_batch(item):
    return {name: [value] for name, value in item.items()}


def test_a_folder_without_maps_of_evaluated_photos_is_refused_before_anything_runs(
    mapped, tmp_path
):
    train = tmp_path / "maps" / "train"
    shutil.copytree(mapped / "foreground" / "maps" / "train", train)
    source = {"type": "FolderOfMaps", "folder": str(tmp_path / "maps")}
    options = {
        "stages__label_generation__test_cfg__foreground": source,
        "stages__label_generation__test_cfg__threshold": 0.5,
        "stages__label_generation__test_cfg__num_attention_maps": 0,
    }
    with pytest.raises(LussError, match=r"6 of 6 photos of validation have no map in .*maps"):
        run_tiny(tmp_path / "run", **evaluated_labels(**options))
    shutil.copytree(mapped / "foreground" / "maps" / "validation", train.parent / "validation")
    with pytest.raises(LussError, match=r"6 of 6 photos of test have no map in .*maps"):
        run_tiny(tmp_path / "run", **evaluated_labels(**options))
    # Labels alone need those of training photos.
    (missing, *_) = sorted(train.rglob("*.png"))
    missing.unlink()
    nested = {"type": "ProductOfMaps", "sources": [{"type": "CentrePrior"}, source]}
    options["stages__label_generation__test_cfg__foreground"] = nested
    with pytest.raises(LussError, match=f"1 of 18 photos of train .*{missing.stem}"):
        run_tiny(tmp_path / "run", **options)
    assert not (tmp_path / "run" / "pretrain").exists()


def test_embeddings_are_pooled_over_the_maps(mapped):
    config = Config.fromfile(mapped / "label_generation" / "config.py")
    torch.manual_seed(0)
    model = MODELS.build(config.model).eval()
    checkpoint = load(mapped / "pixel_attention" / "iter_8.pth")
    model.load_state_dict(checkpoint["state_dict"])
    found = np.load(mapped / "label_generation" / "embeddings.npy")
    photos = sorted((mapped / "data" / "train").rglob("*.JPEG"))
    assert len(found) == len(photos)
    for row, path in zip(found, photos, strict=True):
        name = path.relative_to(mapped / "data").with_suffix(".png")
        image = read_image(path)
        assert image.shape[:2] == (48, 48)
        levels = cv2.imread(str(mapped / "foreground" / "maps" / name), cv2.IMREAD_UNCHANGED)
        inner = np.s_[8:40, 8:40]
        inputs = torch.from_numpy(image[inner]).permute(2, 0, 1)[None].clone()
        inputs = model.data_preprocessor({"inputs": [inputs]})["inputs"][0]
        foreground = torch.from_numpy(levels[inner] / np.float32(255))[None, None]
        with torch.no_grad():
            expected = model.embed_images(inputs, foreground)[0]
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-6)


def test_a_run_killed_in_maps_ends_the_same(pretrained, mapped, tmp_path, monkeypatch):
    shutil.copytree(pretrained, tmp_path / "run")
    sync, left = os.fsync, [12]

    def sync_until_killed(descriptor):
        left[0] -= 1
        if not left[0]:
            raise Killed
        sync(descriptor)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "fsync", sync_until_killed)
        run_tiny(tmp_path / "run", resume=True, **HOOKED, **WITH_MAPS)
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "run" / "foreground").rglob("*.png")}
    assert 0 < len(made) < 24

    run_tiny(tmp_path / "run", resume=True, **HOOKED, **WITH_MAPS)
    assert made == {path: path.stat().st_mtime_ns for path in made}
    assert_same(outcome(mapped), outcome(tmp_path / "run"))


def test_the_configs_of_the_stages_run_on_their_own(mapped, tmp_path):
    config = Config.fromfile(mapped / "foreground" / "config.py")
    config.work_dir = str(tmp_path / "copy")
    config.run_log = None
    config.experiment_name = "copy"
    assert RUNNERS.build(config).test() == {"maps": 30}
    for path in (mapped / "foreground" / "maps").rglob("*.png"):
        again = tmp_path / "copy" / path.relative_to(mapped / "foreground")
        assert again.read_bytes() == path.read_bytes()


def changed(**options):
    return {**WITH_MAPS, **options}


OWN = {
    "stages__label_generation__test_dataloader__embedding__dataset__pipeline": [
        {**step, "folder": "${label_generation.foreground}/train"} if "folder" in step else step
        for step in EMBEDDING
    ]
}
"""Embeddings read the maps of label generation itself."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            changed(
                stages__foreground__test_cfg__foreground={"type": "FeatureCut", "_delete_": True}
            ),
            r"FeatureCut looks at a trained model; set stages\.foreground\.model",
        ),
        (
            changed(
                stages__label_generation__test_cfg__foreground={"folder": "${foregroud.maps}"},
            ),
            "'foregroud'.*'foreground'",
        ),
        (
            changed(**OWN, stages__label_generation__test_cfg__foreground={"type": "Attention"}),
            "ForegroundEmbeddings reads maps of foreground, of which Attention leaves none",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(tmp_path, options, message):
    with pytest.raises(LussError, match=message):
        run_tiny(tmp_path, **options)
    assert not (tmp_path / "pretrain").exists()


def test_embeddings_may_read_the_maps_of_their_own_stage(mapped, tmp_path):
    options = changed(**OWN, stages__label_generation__test_cfg__foreground=PRIOR)
    parts = ("label_generation", "finetune", "evaluate")
    shutil.copytree(mapped, tmp_path / "run", ignore=shutil.ignore_patterns(*parts))
    run_tiny(tmp_path / "run", "label_generation", **HOOKED, **options)
    for path in (mapped / "label_generation").rglob("*.np?"):
        again = tmp_path / "run" / path.relative_to(mapped)
        if path.suffix == ".npy":
            assert again.read_bytes() == path.read_bytes()
    pipeline = Pipeline(read_tiny(**HOOKED, **options), str(tmp_path / "run"))
    assert pipeline.stages["label_generation"].requires == ("pixel_attention",)
