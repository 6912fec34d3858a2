"""What is read off a finished run, wherever it lies and whether or not its photos are there."""

import json
import shutil

import numpy as np
import pytest
import torch
from tiny_run import TINY

from luss.apis import FinishedRun
from luss.configuration import write_config
from luss.errors import LussError
from luss.pipeline.work_dir import WorkDir


def last_checkpoint(work_dir):
    return work_dir / "finetune" / json.loads((work_dir / "finetune/done.json").read_text())[
        "checkpoint"
    ]  # fmt: skip


@pytest.fixture
def moved(finished_run, tmp_path):
    """The run in another place, without photos, labels and predictions."""
    ignored = shutil.ignore_patterns("data", "predictions", "label_generation", "pretrain")
    return shutil.copytree(finished_run, tmp_path / "moved", ignore=ignored)


def test_a_work_dir_says_all_about_its_segmentor(finished_run):
    run = FinishedRun.read(finished_run)
    assert run.checkpoint == last_checkpoint(finished_run)
    match = json.loads((finished_run / "evaluate/match.json").read_text())
    assert dict(enumerate(run.match.tolist())) == {int(k): v for k, v in match.items()}
    assert len(run.class_names) == run.num_categories == 6
    assert not run.predicts_true_classes
    matched = int(np.flatnonzero(run.match)[0])
    assert run.legend.name(matched) == run.class_names[run.match[matched] - 1]
    assert [step["type"] for step in run.pipeline] == [
        "LoadRGBImage",
        "ResizeShortSide",
        "PackInputs",
    ]


def test_its_model_has_all_weights_of_the_checkpoint(finished_run):
    run = FinishedRun.read(finished_run)
    model = run.load_model()
    assert not model.training
    state = torch.load(run.checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_a_run_that_was_moved_is_whole_without_its_photos(finished_run, moved):
    here, there = FinishedRun.read(finished_run), FinishedRun.read(moved)
    assert there.checkpoint == last_checkpoint(moved)
    assert there.class_names == here.class_names
    assert np.array_equal(there.match, here.match)


def test_a_checkpoint_finds_its_work_dir(moved):
    older = moved / "finetune" / "iter_1.pth"
    shutil.copy(last_checkpoint(moved), older)
    run = FinishedRun.read(older)
    assert (run.checkpoint, run.work_dir) == (older, moved)
    assert run.match is not None


def test_a_checkpoint_elsewhere_needs_its_config(finished_run, tmp_path):
    alone = shutil.copy(last_checkpoint(finished_run), tmp_path / "model.pth")
    with pytest.raises(LussError, match=r"not in a work dir.*--config"):
        FinishedRun.read(alone)
    run = FinishedRun.read(alone, TINY)
    assert (run.num_categories, run.match, run.class_names, run.work_dir) == (6, None, None, None)
    assert run.legend.name(2) == "category 2"
    run.load_model()


@pytest.mark.parametrize("stage", ["finetune", "evaluate"])
def test_a_run_that_is_not_finished_is_refused_by_the_stage_that_is_missing(moved, stage):
    (moved / stage / "done.json").unlink()
    with pytest.raises(LussError, match=rf"not finished: '{stage}' .*--resume"):
        FinishedRun.read(moved)


def test_other_files_and_folders_are_refused(moved, tmp_path):
    with pytest.raises(LussError, match="there is no work dir or checkpoint"):
        FinishedRun.read(tmp_path / "absent")
    with pytest.raises(LussError, match="is not a work dir"):
        FinishedRun.read(moved / "evaluate")
    with pytest.raises(LussError, match="remove --config"):
        FinishedRun.read(moved, TINY)
    other = moved / "pixel_attention"
    with pytest.raises(LussError, match=r"'pixel_attention'.*finetune"):
        FinishedRun.read(next(other.glob("iter_*.pth")))


def test_a_match_of_another_run_is_refused(moved):
    (moved / "evaluate" / "match.json").write_text(json.dumps({str(i): i for i in range(9)}))
    with pytest.raises(LussError, match="matches 8 generated categories, but the model has 6"):
        FinishedRun.read(moved)


def test_stages_of_a_run_of_an_earlier_version_are_put_in_order(finished_run, moved):
    ordered = WorkDir(finished_run).config()
    stages = list(ordered.stages)
    assert stages != sorted(stages)
    by_alphabet = ordered.to_dict()
    by_alphabet["stages"] = {name: by_alphabet["stages"][name] for name in sorted(stages)}
    write_config(moved / "config.py", by_alphabet)
    assert list(WorkDir(moved).config().stages) == stages
    assert FinishedRun.read(moved).stage == FinishedRun.read(finished_run).stage
