"""Damaged outputs are named and made anew, with what depends on them, to the same bits."""

import json
import re
import shutil

import numpy as np
import pytest
from states import assert_same
from tiny_run import outcome, run_tiny

from luss.apis.name_categories import name_categories
from luss.errors import LussError
from luss.pipeline.work_dir import WorkDir
from luss.visualization.sources import read_threshold


@pytest.fixture
def begun(tmp_path, finished_run):
    """A whole run whose label generation is not marked as done."""
    work_dir = shutil.copytree(finished_run, tmp_path / "run")
    (work_dir / "label_generation" / "done.json").unlink()
    return work_dir


def flip(path, place=-40):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def empty(path):
    path.write_bytes(b"")


def one_more_row(path):
    rows = np.load(path)
    np.save(path, np.concatenate([rows, rows[:1]]))


def not_a_number(path):
    rows = np.load(path)
    rows[3] = np.nan
    np.save(path, rows)


def of_other_type(path):
    np.save(path, np.load(path).astype(np.float64))


def out_of_range(path):
    path.write_text(json.dumps({**json.loads(path.read_text()), "threshold": 3.0}))


@pytest.mark.parametrize(
    ("output", "damage"),
    [
        ("embeddings.npy", flip),
        ("embeddings.npy", cut),
        ("embeddings.npy", one_more_row),
        ("embeddings.npy", not_a_number),
        ("embeddings.npy", of_other_type),
        ("centroids.npz", flip),
        ("centroids.npz", cut),
        ("threshold.json", cut),
        ("threshold.json", empty),
        ("threshold.json", out_of_range),
        ("made.json", cut),
    ],
)
def test_a_damaged_file_is_named_and_made_anew(begun, finished_run, output, damage):
    path = begun / "label_generation" / output
    damage(path)
    run_tiny(begun, "label_generation", resume=True)
    assert str(path) in (begun / "run.log").read_text()
    assert_same(outcome(finished_run), outcome(begun))


@pytest.mark.parametrize("damage", [flip, cut, empty])
def test_a_damaged_pseudo_label_is_named_and_made_anew(begun, finished_run, damage):
    labels = sorted((begun / "label_generation" / "pseudo_labels").glob("*/*.png"))
    before = {path: path.stat().st_mtime_ns for path in labels}
    damage(labels[5])
    run_tiny(begun, "label_generation", resume=True)
    assert (
        f"1 pseudo labels are damaged and are computed again: {labels[5]}"
        in (begun / "run.log").read_text()
    )
    assert_same(outcome(finished_run), outcome(begun))
    changed = [path for path in labels if path.stat().st_mtime_ns != before[path]]
    assert changed == [labels[5]]


def test_embeddings_of_other_photos_are_named_before_categories_are_shown(finished_run, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "run")
    path = run / "label_generation" / "embeddings.npy"
    one_more_row(path)
    with pytest.raises(LussError, match=r"embeddings\.npy .*float32 \(19, \d+\).* \(18, "):
        name_categories(run)
    path.unlink()
    with pytest.raises(LussError, match="label_generation has no embeddings"):
        name_categories(run)
    assert not (run / "categories").exists()


@pytest.mark.parametrize(
    ("stage", "key", "value"),
    [
        ("finetune", "checkpoint", 5),
        ("finetune", "checkpoint", "../iter_8.pth"),
        ("finetune", "outputs", ["iter_8.pth"]),
        ("finetune", "outputs", {"checkpoint": 8}),
        ("finetune", "outputs", None),
        ("evaluate", "outputs", {"match": "/etc/passwd"}),
        ("evaluate", "classes", 7),
        ("label_generation", "unlabelled", {"a": 1}),
    ],
)
def test_a_note_of_wrong_types_is_named_and_written_anew(finished_run, tmp_path, stage, key, value):
    run = shutil.copytree(finished_run, tmp_path / "run")
    path = run / stage / "done.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    message = re.escape(f"{path} is damaged: {key!r} is {value!r}, expected")
    with pytest.raises(LussError, match=f"{message}.*--resume"):
        WorkDir(run).facts(stage)
    run_tiny(run, resume=True)
    assert f"{path} is damaged: {key!r}" in (run / "run.log").read_text()
    assert_same(outcome(finished_run), outcome(run))


def test_what_was_made_from_other_embeddings_is_made_anew(begun, finished_run):
    labels = begun / "label_generation"
    made = json.loads((labels / "made.json").read_text())
    made["embeddings.npy"]["made_from"]["checkpoint"] = "of another one"
    made["centroids.npz"]["made_from"]["embeddings.npy"] = "of other ones"
    (labels / "made.json").write_text(json.dumps(made))
    # A label that is whole, but not one of these centroids.
    some, other = sorted(labels.glob("pseudo_labels/*/*.png"))[:2]
    shutil.copy(some, other)
    made["pseudo_labels"]["made_from"]["centroids.npz"] = "of other ones"
    (labels / "made.json").write_text(json.dumps(made))
    run_tiny(begun, "label_generation", resume=True)
    said = (begun / "run.log").read_text()
    for name in ("embeddings.npy", "centroids.npz", "pseudo_labels"):
        assert f"{labels / name} was computed from other" in said
    assert_same(outcome(finished_run), outcome(begun))


def test_damaged_results_do_not_cost_an_evaluation(begun, finished_run):
    (begun / "evaluate" / "done.json").unlink()
    cut(begun / "results.json")
    run_tiny(begun, resume=True)
    assert (begun / "results.json.damaged").exists()
    assert f"{begun / 'results.json'} is damaged" in (begun / "run.log").read_text()
    assert_same(outcome(finished_run), outcome(begun))


def test_a_damaged_threshold_is_named_before_predicting(begun, finished_run):
    shutil.copy(finished_run / "label_generation" / "done.json", begun / "label_generation")
    (begun / "evaluate" / "done.json").unlink()
    shutil.rmtree(begun / "evaluate" / "predictions")
    out_of_range(begun / "label_generation" / "threshold.json")
    with pytest.raises(LussError, match=r"threshold\.json .* done\.json"):
        run_tiny(begun, "evaluate", resume=True)
    assert not (begun / "evaluate" / "predictions").exists()
    with pytest.raises(LussError, match=r"3\.0, expected 0\.\.1"):
        read_threshold(begun / "label_generation" / "threshold.json")


def test_photos_of_several_sizes_in_a_batch(begun):
    # Photos of the demo are square: every other one is cut to half its height.
    from PIL import Image

    for path in sorted(begun.glob("data/train/*/*"))[::2]:
        image = Image.open(path)
        image.crop((0, 0, image.width, image.height // 2)).save(path)
    alone, together = begun.parent / "alone", begun.parent / "together"
    found = []
    for work_dir, size in ((alone, 1), (together, 4)):
        shutil.copytree(begun / "pixel_attention", work_dir / "pixel_attention")
        shutil.copytree(begun / "data", work_dir / "data")
        run_tiny(
            work_dir,
            "label_generation",
            stages__label_generation__test_dataloader__embedding__batch_size=size,
        )
        found.append(np.load(work_dir / "label_generation" / "embeddings.npy"))
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)
