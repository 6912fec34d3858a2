"""Predictions that are refined at the photo's edges, by one setting of the evaluation."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
import torch
from tiny_run import read_tiny, run_tiny

from luss.apis import FinishedRun, LUSSInferencer, predict_photos
from luss.apis.onnx_export import export_onnx
from luss.datasets import read_mask
from luss.datasets.image_io import read_image
from luss.errors import LussError
from luss.models.refiners import PAMR, refine_ids
from luss.pipeline import Pipeline

REFINER = {"type": "PAMR", "iterations": 4, "dilations": (1, 3)}
INSTALLED = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


@pytest.fixture(scope="module")
def refined(finished_run, tmp_path_factory):
    """The same model, evaluated with a refiner."""
    root = tmp_path_factory.mktemp("refined") / "run"
    shutil.copytree(finished_run, root, ignore=shutil.ignore_patterns("evaluate"))
    return run_tiny(root, resume=True, stages__evaluate__refiner=REFINER)


def masks_of(run):
    root = run / "evaluate" / "predictions" / "validation"
    return {path.relative_to(root).with_suffix(""): read_mask(path) for path in root.rglob("*.png")}


def test_evaluation_refines_and_says_so(finished_run, refined):
    plain, found = masks_of(finished_run), masks_of(refined)
    assert plain.keys() == found.keys()
    for name, mask in found.items():
        photo = read_image(refined / "data" / "validation" / name.with_suffix(".JPEG"), False)
        pixels = torch.from_numpy(photo.transpose(2, 0, 1).copy())
        refiner = PAMR(iterations=4, dilations=(1, 3))
        expected = refine_ids(refiner, pixels, torch.from_numpy(plain[name].astype(np.int64)))
        assert np.array_equal(mask, expected.numpy()), name
    assert any((plain[name] != found[name]).any() for name in plain)
    stated = [
        json.loads((run / "results.json").read_text())["provenance"]["refiner"]
        for run in (finished_run, refined)
    ]
    assert stated == [None, {**REFINER, "dilations": [1, 3]}]


def test_predictions_of_photos_are_refined_alike(refined, tmp_path):
    inferencer = LUSSInferencer(refined, device="cpu")
    photos = refined / "data" / "validation"
    for _ in range(2):  # the second time, all are there already
        predict_photos(inferencer, photos, tmp_path / "out", outputs=["masks"], batch_size=3)
    name, mask = next(iter(masks_of(refined).items()))
    assert np.array_equal(read_mask(tmp_path / "out" / "masks" / f"{name}.png"), mask)
    photo = read_image(photos / name.with_suffix(".JPEG"), False)
    (sample,) = inferencer(photo, return_datasamples=True)["predictions"]
    assert np.array_equal(sample.pred_sem_seg.data[0].numpy(), mask)
    assert "photo" not in sample


@pytest.mark.skipif(not INSTALLED, reason="onnx and onnxruntime are not installed")
def test_an_exported_file_does_not_refine(finished_run, refined, tmp_path):
    import onnx

    assert export_onnx(FinishedRun.read(refined), tmp_path / "refined.onnx").worst[1] >= 0.995
    export_onnx(FinishedRun.read(finished_run), tmp_path / "plain.onnx")
    files = [onnx.load(tmp_path / name) for name in ("refined.onnx", "plain.onnx")]
    for file in files:
        # Names of categories come from the match, which refined predictions may change.
        del file.metadata_props[:]
    assert files[0] == files[1]


def test_a_refiner_without_photo_is_rejected_early(tmp_path):
    config = read_tiny(stages__finetune__model__refiner=REFINER)
    with pytest.raises(LussError, match=r"set the refiner as stages\.evaluate\.refiner"):
        Pipeline(config, str(tmp_path)).run()
    knn = {
        "type": "Test",
        "protocol": {"type": "DistanceMatching"},
        "model": {"type": "DistanceMatcher", "backbone": "${config.backbone}"},
        "test_dataloader": config.stages.evaluate.test_dataloader,
        "refiner": REFINER,
    }
    with pytest.raises(LussError, match=r"stages\.knn: DistanceMatcher.*'refiner'"):
        run_tiny(tmp_path, "knn", stages__knn=knn)
