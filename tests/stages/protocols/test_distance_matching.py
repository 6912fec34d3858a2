"""Distance matching, from photos to results, against a slow reference of its definition."""

import json
import shutil

import numpy as np
import plain_distance_matching as plain
import pytest
import torch
from mmengine.registry import init_default_scope
from processes import run_ranks
from tiny_networks import CLASSES, DISTANCE_MATCHING, NARROW, match_distances

from luss.engine.foreign_weights import build_backbone
from luss.errors import LussError
from luss.evaluation.distance_bank import DistanceBank
from luss.evaluation.evaluate_folders import evaluate_folders
from luss.evaluation.metrics import BOUNDARY_METRICS, REGION_METRICS
from luss.pipeline import evaluate
from luss.pipeline.resolving import resolved_stage, stages_of

STAGES = {"distance_matching": DISTANCE_MATCHING}


@pytest.fixture
def context(make_context, random_backbone):
    return make_context(STAGES, weights=str(random_backbone))


def test_predictions_equal_a_plain_loop(context, demo_root, random_backbone):
    results = evaluate(context, "distance_matching")

    init_default_scope("luss")
    backbone = build_backbone(dict(NARROW), random_backbone, 0)
    rows, labels = [], []
    for photo in sorted((demo_root / "train-semi").rglob("*.*")):
        mask = demo_root / "train-semi-segmentation" / photo.parent.name / f"{photo.stem}.png"
        features = plain.feature_map(backbone, photo, 40)
        for label, vector in plain.vectors(features, plain.read_mask(mask)).items():
            rows.append(vector)
            labels.append(label)
    folder = context.work_dir.stage("distance_matching")
    bank = DistanceBank.read(folder / "bank.npz")
    np.testing.assert_array_equal(bank.labels, labels)
    np.testing.assert_allclose(bank.vectors, rows, rtol=0, atol=1e-5 * np.abs(rows).max())

    unit = np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
    different = pixels = 0
    photos = sorted((demo_root / "validation").rglob("*.*"))
    for photo in photos:
        features = plain.feature_map(backbone, photo, 40)
        expected = plain.label_map(features, unit, labels, CLASSES + 1, k=5)
        path = folder / "predictions" / "validation" / photo.parent.name / f"{photo.stem}.png"
        found = plain.read_mask(path)
        expected = plain.resized(expected, *found.shape)
        different += (found != expected).sum()
        pixels += found.size
    assert different == 0, f"{different} of {pixels} pixels of {len(photos)} images"

    for split, short in (("validation", "val"), ("test", "test")):
        expected = evaluate_folders(
            folder / "predictions" / split, demo_root / f"{split}-segmentation"
        )
        metrics = [*REGION_METRICS, *BOUNDARY_METRICS]
        assert results[short] == {name: expected[name] for name in results[short]}
        assert set(results[short]) == set(metrics)


def test_bank_and_results_of_earlier_evaluations(context, random_backbone, tmp_path):
    """A bank is used again for the same weights only; other protocols' results are kept."""
    context.work_dir.root.mkdir()
    results = context.work_dir.root / "results.json"
    results.write_text(json.dumps({"another": {"val": {"mIoU": 1.0}}, "provenance": {"seed": 7}}))
    found = evaluate(context, "distance_matching")
    content = json.loads(results.read_text())
    assert content["another"] == {"val": {"mIoU": 1.0}}
    assert content["distance_matching"] == found
    facts = content["provenance"]["distance_matching"]
    assert content["provenance"]["seed"] == 7
    assert (facts["weights"].split("/")[-1], facts["k"]) == ("backbone.pth", 5)

    path = context.work_dir.stage("distance_matching") / "bank.npz"
    first = DistanceBank.read(path)
    before = path.stat().st_mtime_ns
    evaluate(context, "distance_matching")
    assert path.stat().st_mtime_ns == before

    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    evaluate(context, "distance_matching")
    assert path.read_bytes() == whole

    weights = torch.load(random_backbone, weights_only=True)
    weights["state_dict"]["backbone.conv1.weight"] *= -1
    torch.save(weights, tmp_path / "other.pth")
    evaluate(context, "distance_matching", str(tmp_path / "other.pth"))
    second = DistanceBank.read(path)
    assert second.source != first.source
    assert not np.allclose(second.vectors, first.vectors)


def test_after_a_stage_that_trained(make_context, context, random_backbone):
    alone = evaluate(context, "distance_matching")
    model = {**DISTANCE_MATCHING["model"], "backbone": "${pretrain.model.backbone}"}
    matching = {**DISTANCE_MATCHING, "model": model, "weights": "${pretrain.checkpoint}"}
    stages = {
        "pretrain": {"type": "Train", "model": {"backbone": NARROW}, "train_dataloader": {}},
        "distance_matching": matching,
    }
    pipeline = make_context(stages, "pipeline")
    with pytest.raises(LussError, match="evaluates what 'pretrain' trains"):
        evaluate(pipeline, "distance_matching")
    folder = pipeline.work_dir.stage("pretrain")
    folder.mkdir(parents=True)
    (folder / "iter_3.pth").write_bytes(random_backbone.read_bytes())
    pipeline.work_dir.mark_done("pretrain", {"outputs": {"checkpoint": "iter_3.pth"}})
    stage = resolved_stage(stages_of(pipeline)["distance_matching"], pipeline)
    stage.check(pipeline)
    assert stage.run(pipeline)["splits"] == ["validation", "test"]
    results = json.loads((pipeline.work_dir.root / "results.json").read_text())
    assert results["distance_matching"] == alone


@pytest.mark.slow
def test_two_processes_equal_one(context, demo_root, random_backbone, tmp_path):
    evaluate(context, "distance_matching")
    folder = tmp_path / "two"
    folder.mkdir()
    run_ranks(match_distances, folder, str(demo_root), str(random_backbone))
    roots = (context.work_dir.root, folder / "run")
    one, two = (json.loads((root / "results.json").read_text()) for root in roots)
    assert two["provenance"]["processes"] == 2
    banks = [DistanceBank.read(root / "distance_matching" / "bank.npz") for root in roots]
    np.testing.assert_array_equal(banks[0].labels, banks[1].labels)
    np.testing.assert_array_equal(banks[0].images, banks[1].images)
    np.testing.assert_allclose(banks[0].vectors, banks[1].vectors, rtol=1e-4, atol=1e-6)
    # Batches are others, and so are last bits; a pixel or two may change sides.
    for split in ("val", "test"):
        mean = one["distance_matching"][split]["mIoU"]
        assert two["distance_matching"][split]["mIoU"] == pytest.approx(mean, abs=0.2)


def test_random_weights_are_said_loudly(make_context):
    context = make_context(STAGES)
    evaluate(context, "distance_matching")
    log = (context.work_dir.root / "run.log").read_text()
    assert "WARNING - NO WEIGHTS ARE LOADED" in log
    results = json.loads((context.work_dir.root / "results.json").read_text())
    assert results["provenance"]["distance_matching"]["weights"] == "random"


def test_no_labelled_images(make_context, demo_root, tmp_path):
    """A pipeline goes on without the protocol; asked for by name, it is an error."""
    for name in ("train", "validation", "validation-segmentation"):
        (tmp_path / "root").mkdir(exist_ok=True)
        (tmp_path / "root" / name).symlink_to(demo_root / name)
    context = make_context(STAGES, data_root=str(tmp_path / "root"))
    stage = resolved_stage(stages_of(context)["distance_matching"], context)
    stage.check(context)
    assert stage.run(context) == {"splits": []}
    with pytest.raises(LussError, match="train-semi"):
        evaluate(context, "distance_matching")


def test_masks_of_the_bank_are_checked(make_context, demo_root, tmp_path):
    root = shutil.copytree(demo_root, tmp_path / "data")
    mask = min(root.glob("train-semi-segmentation/*/*"))
    mask.write_bytes(b"no mask")
    context = make_context(STAGES, data_root=str(root))
    stage = resolved_stage(stages_of(context)["distance_matching"], context)
    with pytest.raises(
        LussError, match=rf"train-semi: 1 mask does not fit:\s+the mask {mask} is not a PNG"
    ):
        stage.check(context)


def test_bad_input(make_context):
    with pytest.raises(LussError, match="there is no checkpoint nowhere"):
        evaluate(make_context(STAGES, weights="nowhere.pth"), "distance_matching")
    with pytest.raises(LussError, match="there is no checkpoint nowhere"):
        evaluate(make_context(STAGES), "distance_matching", "nowhere.pth")
    model = {"type": "DistanceMatcher", "backbone": {"type": "Nothing"}}
    other = {"distance_matching": {**DISTANCE_MATCHING, "model": model}}
    with pytest.raises(LussError, match="Nothing"):
        evaluate(make_context(other), "distance_matching")


def test_votes_have_the_temperature_asked(make_context, demo_root, random_backbone):
    init_default_scope("luss")
    backbone = build_backbone(dict(NARROW), random_backbone, 0)
    photos = sorted((demo_root / "validation").rglob("*.*"))[:6]
    features = [plain.feature_map(backbone, photo, 40) for photo in photos]
    maps = {}
    for temperature in (0.01, 5.0):
        model = {**DISTANCE_MATCHING["model"], "temperature": temperature}
        stage = {**DISTANCE_MATCHING, "model": model}
        context = make_context(
            {"distance_matching": stage}, str(temperature), weights=str(random_backbone)
        )
        evaluate(context, "distance_matching")
        folder = context.work_dir.stage("distance_matching")
        bank = DistanceBank.read(folder / "bank.npz")
        unit = bank.vectors / np.linalg.norm(bank.vectors, axis=1, keepdims=True)
        maps[temperature] = []
        for photo, of_photo in zip(photos, features, strict=True):
            mask = folder / "predictions/validation" / photo.parent.name / f"{photo.stem}.png"
            found = plain.read_mask(mask)
            expected = plain.label_map(
                of_photo, unit, bank.labels, CLASSES + 1, k=5, temperature=temperature
            )
            assert (found == plain.resized(expected, *found.shape)).mean() > 0.999
            maps[temperature].append(found)
    changed = [(a != b).mean() for a, b in zip(*maps.values(), strict=True)]
    assert np.mean(changed) > 0.01
