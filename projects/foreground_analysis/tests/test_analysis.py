"""The analysis of a finished run, against what its stages said."""

import json
import shutil

import numpy as np
import pytest
from tiny_run import TINY, evaluation_of_labels, finish, read_tiny, run_tiny, start

from foreground_analysis.analysis import analyze_foreground
from foreground_analysis.page import _stretched
from luss.datasets.mask_codec import read_mask
from luss.errors import LussError
from luss.pipeline import Pipeline

SOURCES = ["CentrePrior", "BoundaryPrior"]


def analyse(work_dir, split="validation", sources=SOURCES, **options):
    return analyze_foreground(Pipeline(read_tiny(**options), str(work_dir)), split, sources)


@pytest.fixture(scope="module")
def work_dir(finished_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("analysis") / "run"
    shutil.copytree(finished_run, path)
    return path


@pytest.fixture(scope="module")
def found(work_dir):
    return analyse(work_dir)


def test_the_last_rungs_are_what_the_stages_found(found, finished_run):
    results = json.loads((finished_run / "results.json").read_text())
    expected = results["fully_unsupervised"]["val"]["mIoU"]
    assert found["ladder"]["finished model"]["both_found"] == pytest.approx(expected)
    threshold = json.loads((finished_run / "label_generation/threshold.json").read_text())
    best = max(threshold["curve"]["values"])
    assert found["ladder"]["pseudo labels"]["both_found"] == pytest.approx(best)
    own = found["sources"][found["own_source"]]
    assert own["best mIoU"] == pytest.approx(best)
    assert own["mIoU threshold"] == pytest.approx(threshold["threshold"])


def read_json(path):
    return json.loads(path.read_text())


def analyse_and_compare(work_dir, **options):
    """The last rung of the finished model, and the validation mIoU of results.json."""
    found = analyse(work_dir, sources=["CentrePrior"], **options)
    results = read_json(work_dir / "results.json")
    mine = found["ladder"]["finished model"]["both_found"]
    assert mine == pytest.approx(results["fully_unsupervised"]["val"]["mIoU"])
    return found, results


def test_one_matcher_and_one_predictor_everywhere(tmp_path):
    matched = {"matcher__unmatched": "best"}
    options = {
        **matched,
        "num_categories": 8,
        "stages__finetune__model__cam_threshold": 0.5,
        "stages__evaluate_labels": evaluation_of_labels(**matched),
    }
    run_tiny(tmp_path, **options)
    found, results = analyse_and_compare(tmp_path, **options)
    threshold = read_json(tmp_path / "label_generation/threshold.json")
    best = max(threshold["curve"]["values"])
    assert results["before_fine_tuning"]["val"]["mIoU"] == pytest.approx(best)
    assert found["ladder"]["pseudo labels"]["both_found"] == pytest.approx(best)
    assert found["sources"][found["own_source"]]["best mIoU"] == pytest.approx(best)
    assert threshold["matcher"] == {"type": "ImageLevelMatcher", "unmatched": "best"}
    # By 'best' no category that is predicted is left to 'other'.
    for stage in ("evaluate", "evaluate_labels"):
        match = read_json(tmp_path / stage / "match.json")
        predicted = {
            int(value)
            for path in (tmp_path / stage / "predictions/validation").rglob("*.png")
            for value in np.unique(read_mask(path))
        }
        assert all(match[str(category)] > 0 for category in predicted - {0})


def test_a_given_match_and_half_precision_are_those_of_the_evaluation(finished_run, tmp_path):
    left_out = shutil.ignore_patterns("evaluate", "results.json")
    shutil.copytree(finished_run, tmp_path / "run", ignore=left_out)
    match = tmp_path / "match.json"
    match.write_text(json.dumps({str(g): (7 - g) % 7 for g in range(7)}))
    options = {
        "stages__evaluate__protocol__match": str(match),
        "stages__evaluate__test_cfg": {"bf16": True},
    }
    run_tiny(tmp_path / "run", "evaluate", **options)
    analyse_and_compare(tmp_path / "run", **options)


def test_true_masks_and_categories_are_above_all(found):
    for rungs in found["ladder"].values():
        assert rungs["ceiling"] == max(rungs.values())
        assert 50 < rungs["ceiling"] <= 100


def test_what_was_asked_for_is_compared(found):
    assert found["own_source"] == "Attention"
    assert set(found["sources"]) == {*SOURCES, "Attention", "finished model"}
    for values in found["sources"].values():
        assert 0 <= values["AUC within images"] <= 1
        assert len(values["curves"]["IoU"]) == len(values["curves"]["thresholds"]) == 101
    assert set(found["embeddings"]) == {
        *SOURCES,
        "Attention",
        "whole photo",
        "true masks",
        "the model's own",
    }
    # Six photos of six categories in six clusters: each is a cluster of its own.
    assert found["embeddings"]["true masks"] == pytest.approx({"accuracy": 100, "NMI": 100})


def test_the_folder_has_figures_and_a_page_of_photos(found, work_dir):
    folder = work_dir / "foreground_analysis"
    assert {path.name for path in folder.iterdir()} == {
        "analysis.json",
        "index.html",
        "pictures",
        "thresholds.png",
    }
    assert json.loads((folder / "analysis.json").read_text()) == found
    assert (folder / "thresholds.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "index.html").read_text()
    # Six photos: three sources and attention's mean with eight channels, each beside the photo.
    assert page.count("<img") == 1 + 6 * (1 + 3) + 6 * (1 + 1 + 8)
    assert page.count("CentrePrior for") == 6
    for channel in found["attention"]["shown channels"]:
        assert page.count(f"Channel {channel} for") == 6


def test_maps_are_stretched_from_dark_to_bright():
    values = np.tile(np.linspace(0.4, 0.5, 16, dtype=np.float32), (12, 1))
    picture, _ = _stretched(values)(np.zeros((24, 32, 3), np.uint8), (24, 32))
    assert np.abs(picture[5, 0].astype(int) - (68, 1, 84)).max() < 9
    assert np.abs(picture[5, -1].astype(int) - (253, 231, 37)).max() < 9


def test_embeddings_over_a_prior_are_those_pooled_over_its_maps(finished_run, tmp_path):
    """As in the demo and in all configs with a prior."""
    shutil.copytree(finished_run, tmp_path / "run")
    for stage in ("label_generation", "finetune", "evaluate"):
        shutil.rmtree(tmp_path / "run" / stage)
    pipeline = [
        {"type": "LoadRGBImage"},
        {"type": "ResizeShortSide", "size": 48},
        {"type": "LoadForegroundAsMask", "folder": "${label_generation.foreground}/train"},
        {"type": "CenterCrop", "crop_size": 32},
        {"type": "PackInputs"},
    ]
    options = {
        "stages__label_generation__test_cfg__foreground__type": "BoundaryPrior",
        "stages__label_generation__test_cfg__embedder__type": "ForegroundEmbeddings",
        "stages__label_generation__test_cfg__embedder__attention": False,
        "stages__label_generation__test_dataloader__embedding__dataset__pipeline": pipeline,
    }
    run_tiny(tmp_path / "run", "label_generation", **options)
    found = analyse(tmp_path / "run", sources=["CentrePrior"], **options)
    assert found["own_source"] == "BoundaryPrior"
    embeddings = found["embeddings"]
    assert embeddings["the model's own"] == embeddings["BoundaryPrior"]
    threshold = json.loads((tmp_path / "run/label_generation/threshold.json").read_text())
    best = max(threshold["curve"]["values"])
    assert found["ladder"]["pseudo labels"]["both_found"] == pytest.approx(best)


def test_labels_by_pixel_of_pretrained_features(finished_run, tmp_path):
    """A model without attention, whose embeddings are of each pixel (table 10a)."""
    unused = shutil.ignore_patterns("pixel_attention", "label_generation", "finetune", "evaluate")
    shutil.copytree(finished_run, tmp_path / "run", ignore=unused)
    pipeline = [
        {"type": "LoadRGBImage"},
        {"type": "ResizeShortSide", "size": 48},
        {"type": "CenterCrop", "crop_size": 32},
        {"type": "PackInputs"},
    ]
    options = {
        "stages__label_generation__model": "${pretrain.model}",
        "stages__label_generation__checkpoint": "${pretrain.checkpoint}",
        "stages__label_generation__test_cfg__embedder__type": "PixelEmbeddings",
        "stages__label_generation__test_dataloader__embedding__dataset__pipeline": pipeline,
        "stages__label_generation__test_cfg__writer__type": "PixelLabels",
        "stages__label_generation__test_cfg__writer__by": "cluster",
        "stages__label_generation__test_cfg__foreground__type": "WholePhoto",
        "stages__label_generation__test_cfg__threshold": 0.0,
    }
    run_tiny(tmp_path / "run", "label_generation", **options)
    found = analyse(tmp_path / "run", sources=None, **options)
    assert found["own_source"] == "WholePhoto"
    assert {"FeatureCut", "boundary-centre"} < found["sources"].keys()
    assert "Attention" not in found["sources"] and "attention" not in found
    assert "the model's own" not in found["embeddings"]
    assert found["sources"]["WholePhoto"]["AUC over images"] == pytest.approx(0.5)


def test_another_split_with_masks(work_dir):
    found = analyse(work_dir, "test", ["CentrePrior"])
    assert found["split"] == "test"


def test_a_split_without_masks_is_refused(work_dir):
    with pytest.raises(LussError, match=r"'train' .* has none; splits with masks: .*validation"):
        analyse(work_dir, "train")


def test_an_unknown_source_is_refused(work_dir):
    with pytest.raises(LussError, match="foreground source 'Nothing'"):
        analyse(work_dir, sources=["Nothing"])


def test_without_the_finished_model_the_rest_is_analysed(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "evaluate")
    found = analyse(tmp_path / "run", sources=["CentrePrior"])
    assert list(found["ladder"]) == ["pseudo labels"]
    shutil.rmtree(tmp_path / "run" / "label_generation")
    with pytest.raises(LussError, match="pseudo labels"):
        analyse(tmp_path / "run")


def test_the_command_prints_the_analysis(work_dir):
    process = start(
        "analyze_foreground.py", TINY, "--work-dir", work_dir, "--sources", "CentrePrior",
        num_workers=0,
    )  # fmt: skip
    code, said = finish(process)
    assert code == 0, said
    for shown in ("CentrePrior", "AUC within images", "true masks, found categories", "NMI"):
        assert shown in said
