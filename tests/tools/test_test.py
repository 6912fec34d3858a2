"""The command ``tools/test.py``: nothing is fitted again where it need not be."""

import json
import shutil

import pytest
from tiny_run import TINY, finish, read_tiny, start

from luss.errors import LussError
from luss.pipeline import Pipeline


@pytest.fixture
def run(tmp_path, finished_run):
    return shutil.copytree(finished_run, tmp_path / "run")


def evaluate(work_dir, checkpoint=None, **options):
    return Pipeline(read_tiny(**options), str(work_dir)).evaluate(checkpoint=checkpoint)


def results_of(path):
    return json.loads(path.read_text())


def test_the_run_is_evaluated_as_training_did(run, capsys):
    before = results_of(run / "results.json")
    (run / "results.json").unlink()
    evaluate(run)
    assert f"categories: {run}/evaluate/match.json" in capsys.readouterr().out
    after = results_of(run / "results.json")
    for content in (before, after):
        content["provenance"].pop("data_root", None)
    assert after == before


def test_the_match_is_kept_not_found_again(run):
    # A match that no search would find: everything is 'other'.
    match = run / "evaluate" / "match.json"
    nothing = dict.fromkeys(json.loads(match.read_text()), 0)
    match.write_text(json.dumps(nothing))
    evaluate(run)
    assert json.loads(match.read_text()) == nothing
    assert results_of(run / "results.json")["fully_unsupervised"]["val"]["Img-Acc"] == 0


def test_another_checkpoint_has_a_match_and_results_of_its_own(run, capsys):
    before = (run / "results.json").read_bytes()
    other = run / "finetune" / "iter_8.pth"
    evaluate(run, str(other))
    match = run / "evaluate_iter_8" / "match.json"
    assert f"on validation masks, see {match}" in capsys.readouterr().out
    assert match.exists()
    found = results_of(run / "results_iter_8.json")
    assert found["provenance"]["checkpoint"] == "finetune/iter_8.pth"
    assert found["provenance"]["match"] == "ImageLevelMatcher on validation masks"
    assert (run / "results.json").read_bytes() == before


def test_the_runs_own_checkpoint_by_name_is_the_run(run):
    (newest,) = {"iter_12.pth"} & {path.name for path in run.glob("finetune/*.pth")}
    evaluate(run, str(run / "finetune" / newest))
    assert not list(run.glob("results_*.json"))


def test_missing_checkpoints(run, tmp_path):
    with pytest.raises(LussError, match=r"no checkpoint nowhere\.pth"):
        evaluate(run, "nowhere.pth")
    with pytest.raises(LussError, match="finetune"):
        evaluate(tmp_path / "empty")


def test_checkpoint_of_another_stage_does_not_fit(run):
    with pytest.raises(LussError, match=r"pretrain/iter_12\.pth does not fit the model"):
        evaluate(run, str(run / "pretrain" / "iter_12.pth"))


def test_command_line(run):
    before = results_of(run / "results.json")
    code, said = finish(start("test.py", TINY, "--work-dir", run, seed=4))
    assert code == 2
    assert "belongs to a run of another config" in said
    checkpoint = run / "finetune" / "iter_12.pth"
    elsewhere = run.parent / "elsewhere"
    code, said = finish(start("test.py", TINY, checkpoint, "--work-dir", elsewhere, num_workers=0))
    assert code == 0, said
    assert "mIoU" in said
    after = results_of(elsewhere / "results_iter_12.json")
    assert after["fully_unsupervised"] == before["fully_unsupervised"]
