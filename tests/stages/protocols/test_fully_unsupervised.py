"""The fully unsupervised protocol against the evaluation of its own predictions' folders."""

import json
import shutil

import numpy as np
import pytest
from tiny_networks import CLASSES, LOADER, segmentor

from luss.datasets.mask_codec import read_mask, write_mask
from luss.errors import LussError
from luss.evaluation.evaluate_folders import evaluate_folders
from luss.pipeline import evaluate


def stages(**settings):
    return {
        "finetune": {"type": "Train", "model": segmentor(), "train_dataloader": {}},
        "evaluate": {
            "type": "Test",
            "protocol": {"type": "FullyUnsupervised", **settings},
            "model": "${finetune.model}",
            "checkpoint": "${finetune.checkpoint}",
            "test_dataloader": LOADER,
        },
    }


def expected(folder, root, split, match, **settings):
    return evaluate_folders(
        folder / "predictions" / split, root / f"{split}-segmentation", CLASSES, match=match,
        **settings,
    )  # fmt: skip


@pytest.mark.parametrize("generated", [4, CLASSES, 11])
def test_fewer_as_many_and_more_categories(make_context, random_segmentor, demo_root, generated):
    """More: large to small, table 6; their match joins categories to 'other'."""
    context = make_context(stages(), num_categories=generated)
    checkpoint = random_segmentor(generated + 1)
    results = evaluate(context, "fully_unsupervised", str(checkpoint))

    folder = context.work_dir.stage(f"evaluate_{checkpoint.stem}")
    on_validation = expected(folder, demo_root, "validation", "find", num_generated=generated)
    match = json.loads((folder / "match.json").read_text())
    assert match == on_validation["match"]
    on_test = expected(folder, demo_root, "test", folder / "match.json")
    for short, found in (("val", on_validation), ("test", on_test)):
        assert results[short] == {name: found[name] for name in results[short]}

    content = json.loads((context.work_dir.root / f"results_{checkpoint.stem}.json").read_text())
    assert content["fully_unsupervised"] == results
    by_pixel = on_validation["pixel_overlap"]
    assert content["fully_unsupervised_pixel_overlap"]["val"] == {
        name: by_pixel[name] for name in results["val"]
    }
    provenance = content["provenance"]
    assert provenance["match"] == "ImageLevelMatcher on validation masks"
    assert (provenance["seed"], provenance["categories"]) == (0, generated)


def test_classes_without_a_true_pixel_are_named(
    make_context, random_segmentor, demo_root, tmp_path
):
    root = tmp_path / "data"
    shutil.copytree(demo_root, root)
    absent = sorted(path.name for path in (root / "validation").iterdir())[1]
    for path in (root / "validation-segmentation").rglob("*.png"):
        ids = read_mask(path)
        write_mask(path, np.where(ids == 2, 0, ids))
    context = make_context(stages(), data={"type": "ImageNetS"}, data_root=str(root))
    checkpoint = random_segmentor(CLASSES + 1)
    evaluate(context, checkpoint=str(checkpoint))
    content = json.loads((context.work_dir.root / f"results_{checkpoint.stem}.json").read_text())
    assert content["provenance"]["absent_classes"] == {"val": [absent]}
    said = (context.work_dir.root / "run.log").read_text()
    assert f"Classes without a true pixel (1): {absent}." in said


def test_left_over_categories_may_take_the_class_that_fits_best(
    make_context, random_segmentor, demo_root
):
    matcher = {"type": "ImageLevelMatcher", "unmatched": "best"}
    context = make_context(stages(matcher=matcher), num_categories=9)
    checkpoint = random_segmentor(10)
    results = evaluate(context, checkpoint=str(checkpoint))
    folder = context.work_dir.stage(f"evaluate_{checkpoint.stem}")
    found = expected(folder, demo_root, "validation", "find", num_generated=9, unmatched="best")
    assert results["val"] == {name: found[name] for name in results["val"]}


def test_the_match_of_the_run_is_kept(make_context, random_segmentor, demo_root, tmp_path):
    """For the run's own model; found again for another one's, but never on test."""
    context = make_context(stages())
    folder = context.work_dir.stage("finetune")
    folder.mkdir(parents=True)
    shutil.copy(random_segmentor(CLASSES + 1), folder / "iter_1.pth")
    context.work_dir.mark_done("finetune", {"outputs": {"checkpoint": "iter_1.pth"}})
    match = {str(generated): (generated * 2) % 7 for generated in range(CLASSES + 1)}
    own = context.work_dir.stage("evaluate")
    own.mkdir()
    (own / "match.json").write_text(json.dumps(match))
    results = evaluate(context)
    found = expected(own, demo_root, "test", own / "match.json")
    assert results["test"] == {name: found[name] for name in results["test"]}
    assert json.loads((own / "match.json").read_text()) == match


def test_test_alone_needs_a_match(make_context, random_segmentor, demo_root, tmp_path):
    root = tmp_path / "root"
    for name in ("train", "validation", "test", "test-segmentation"):
        shutil.copytree(demo_root / name, root / name)
    context = make_context(stages(), data_root=str(root))
    checkpoint = str(random_segmentor(CLASSES + 1))
    with pytest.raises(LussError, match="the match of generated to true categories is found on"):
        evaluate(context, checkpoint=checkpoint)
    match = tmp_path / "match.json"
    match.write_text('{"0": 0, "1": 2, "2": 1}')
    context = make_context(stages(match=str(match)), data_root=str(root))
    assert set(evaluate(context, checkpoint=checkpoint)) == {"test"}
    # Predicted all the same: they can be submitted.
    predicted = context.work_dir.stage("evaluate_segmentor_7") / "predictions" / "validation"
    assert len(list(predicted.rglob("*.png"))) == 3 * CLASSES
