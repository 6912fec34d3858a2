"""The analysis of a finished run, against what its stages said."""

import json
import shutil

import numpy as np
import pytest
import torch
from mmengine import Config
from processes import environments_of_ranks
from tiny_run import TINY, finish, read_tiny, run_tiny, start

from luss.datasets.mask_codec import read_mask
from luss.errors import LussError
from luss.label_generation.map_folder import MapFolder
from luss.label_generation.pooling import pool_over
from luss.pipeline import Pipeline
from luss.registry import RUNNERS
from luss.stages import analyze_foreground

SOURCES = ["CentrePrior", "BoundaryPrior"]


def analyse(work_dir, split=None, sources=SOURCES, **options):
    with Pipeline(read_tiny(**options), str(work_dir)).opened() as context:
        return analyze_foreground(context, split, sources)


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
    pipeline = read_tiny().stages.evaluate.pipeline
    options = {
        "num_categories": 8,
        "stages__evaluate__matcher__unmatched": "best",
        "stages__finetune__model__cam_threshold": 0.5,
        "stages__evaluate_labels__type": "EvaluateLabelsStage",
        "stages__evaluate_labels__after": "label_generation",
        "stages__evaluate_labels__pipeline": pipeline,
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
        "stages__evaluate__match": str(match),
        "stages__evaluate__test_cfg": {"bf16": True},
    }
    run_tiny(tmp_path / "run", "evaluate", **options)
    analyse_and_compare(tmp_path / "run", **options)


def test_metrics_matched_otherwise_than_the_threshold_say_so(finished_run, tmp_path, capsys):
    left_out = shutil.ignore_patterns("evaluate", "results.json")
    shutil.copytree(finished_run, tmp_path / "run", ignore=left_out)
    run_tiny(tmp_path / "run", "evaluate", stages__evaluate__matcher__unmatched="best")
    said = capsys.readouterr().out
    assert "threshold of label_generation was chosen" in said
    assert "'unmatched': 'best'" in said


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


def test_files_lie_in_the_folder_and_embeddings_do_not_stay(found, work_dir):
    folder = work_dir / "foreground_analysis"
    assert json.loads((folder / "analysis.json").read_text()) == found
    for name in ("auc", "ladder", "thresholds"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not list(folder.rglob("*.npy"))
    channels = found["attention"]["shown channels"]
    assert {path.name for path in (folder / "channels").iterdir()} == {
        "mean",
        *map(str, channels),
    }


def test_kept_maps_fit_the_masks(found, work_dir):
    folder = work_dir / "foreground_analysis"
    maps = MapFolder(folder / "maps" / "CentrePrior")
    (path, *more) = sorted((maps.root / "validation").rglob("*.png"))
    assert len(more) == 5
    image_id = path.relative_to(maps.root / "validation").with_suffix("").as_posix()
    truth = read_mask(work_dir / f"data/validation-segmentation/{image_id}.png")
    values = maps.read("validation", image_id)
    assert values.shape == truth.shape
    assert values.max() == values[tuple(side // 2 for side in truth.shape)]


def test_the_runner_config_runs_as_it_is(found, work_dir):
    path = work_dir / "foreground_analysis" / "config.py"
    again = RUNNERS.build(Config.fromfile(path)).test()
    for column, rungs in found["ladder"].items():
        assert again["ladder"][column] == pytest.approx(rungs)


def test_embeddings_over_a_prior_are_those_pooled_over_its_maps(finished_run, tmp_path):
    """As in the demo and in all configs with a prior."""
    shutil.copytree(finished_run, tmp_path / "run")
    for stage in ("label_generation", "finetune", "evaluate"):
        shutil.rmtree(tmp_path / "run" / stage)
    pipeline = [
        {"type": "LoadRGBImage"},
        {"type": "ResizeShortSide", "size": 48},
        {"type": "LoadForegroundAsMask"},
        {"type": "CenterCrop", "crop_size": 32},
        {"type": "PackInputs"},
    ]
    options = {
        "stages__label_generation__foreground__type": "BoundaryPrior",
        "stages__label_generation__embedding__type": "ForegroundEmbeddings",
        "stages__label_generation__embedding__attention": False,
        "stages__label_generation__embedding__pipeline": pipeline,
    }
    run_tiny(tmp_path / "run", "label_generation", **options)
    found = analyse(tmp_path / "run", sources=["CentrePrior"], **options)
    assert found["own_source"] == "BoundaryPrior"
    embeddings = found["embeddings"]
    assert embeddings["the model's own"] == embeddings["BoundaryPrior"]
    threshold = json.loads((tmp_path / "run/label_generation/threshold.json").read_text())
    best = max(threshold["curve"]["values"])
    assert found["ladder"]["pseudo labels"]["both_found"] == pytest.approx(best)


def test_another_split_with_masks(work_dir):
    found = analyse(work_dir, "test", ["CentrePrior"])
    assert found["split"] == "test"


def test_a_split_without_masks_is_refused(work_dir):
    with pytest.raises(LussError, match=r"'train' .* has none; splits with masks: .*validation"):
        analyse(work_dir, "train")


def test_an_unknown_source_is_refused(work_dir):
    with pytest.raises(LussError, match="foreground source 'Nothing'"):
        analyse(work_dir, sources=["Nothing"])


def test_fewer_than_no_photos_are_refused(work_dir):
    options = {
        "stages__foreground_analysis__type": "ForegroundAnalysisStage",
        "stages__foreground_analysis__num_photos": -1,
    }
    with pytest.raises(LussError, match="num_photos is -1"):
        analyse(work_dir, **options)


def test_without_the_finished_model_the_rest_is_analysed(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "evaluate")
    found = analyse(tmp_path / "run", sources=["CentrePrior"])
    assert list(found["ladder"]) == ["pseudo labels"]
    shutil.rmtree(tmp_path / "run" / "label_generation")
    with pytest.raises(LussError, match="'label_generation'"):
        analyse(tmp_path / "run")


def test_command_lines_print_the_analysis_and_show_runs_side_by_side(work_dir, tmp_path):
    process = start(
        "analyze_foreground.py", TINY, "--work-dir", work_dir, "--sources", "CentrePrior",
        num_workers=0,
    )  # fmt: skip
    code, said = finish(process)
    assert code == 0, said
    for shown in ("CentrePrior", "AUC within images", "true masks, found categories", "NMI"):
        assert shown in said

    runs = work_dir, work_dir / "evaluate"
    code, said = finish(start("compare_runs.py", *runs, "--out", tmp_path / "page"))
    assert code == 0, said
    assert (tmp_path / "page" / "index.html").read_text().count("Evaluate for") == 6
    code, said = finish(start("compare_runs.py", *runs, "--out", tmp_path / "page", "--names", "a"))
    assert code == 2
    assert "--names" in said


def test_as_a_stage_of_a_config(finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run")
    options = {
        "stages__foreground_analysis__type": "ForegroundAnalysisStage",
        "stages__foreground_analysis__sources": ["CentrePrior"],
        "stages__foreground_analysis__num_photos": 1,
    }
    Pipeline(read_tiny(**options), str(tmp_path / "run")).run()
    facts = json.loads((tmp_path / "run/foreground_analysis/done.json").read_text())
    assert (facts["split"], facts["images"]) == ("validation", 6)
    maps = tmp_path / "run/foreground_analysis/maps/CentrePrior"
    assert len(list(maps.rglob("*.png"))) == 1


def test_two_processes_find_the_same(found, finished_run, tmp_path):
    shutil.copytree(finished_run, tmp_path / "run")
    arguments = (
        *("analyze_foreground.py", TINY, "--work-dir", tmp_path / "run", "--sources", *SOURCES),
        *("--launcher", "pytorch"),
    )
    ranks = [
        start(*arguments, environment=environment, num_workers=0)
        for environment in environments_of_ranks(2)
    ]
    for rank in ranks:
        code, output = finish(rank)
        assert code == 0, output
    together = json.loads((tmp_path / "run/foreground_analysis/analysis.json").read_text())
    for part in ("ladder", "embeddings"):
        assert together[part].keys() == found[part].keys()
        for name, values in found[part].items():
            assert together[part][name] == pytest.approx(values)
    for name, values in found["sources"].items():
        assert together["sources"][name]["curves"]["IoU"] == values["curves"]["IoU"]
        assert together["sources"][name]["AUC within images"] == pytest.approx(
            values["AUC within images"]
        )


def test_features_are_pooled_over_cells():
    features = torch.arange(8.0).reshape(1, 2, 2, 2)
    weights = torch.zeros(1, 1, 4, 4)
    weights[..., :2, :2] = 1
    weights[..., 3, 3] = 1
    # The last cell is covered by a quarter.
    expected = (features[..., 0, 0] + features[..., 1, 1] / 4) / 1.25
    assert torch.allclose(pool_over(features, weights), expected)
    assert torch.allclose(pool_over(features, torch.ones(1, 1, 1, 1)), features.mean((2, 3)))
    assert not pool_over(features, torch.zeros(1, 1, 3, 3)).any()
    assert np.isfinite(pool_over(features, torch.zeros(1, 1, 3, 3))).all()
