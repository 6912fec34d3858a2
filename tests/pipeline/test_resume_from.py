"""``--resume CHECKPOINT``: a stage goes on from the one that is named, and from no other."""

import shutil

import pytest
import torch
from states import assert_same, flatten
from tiny_run import run_tiny

from luss.engine.checkpoint import load
from luss.errors import LussError

LONGER = {"default_hooks__checkpoint__max_keep_ckpts": -1}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A run whose first stage was killed before it was marked as whole."""
    root = run_tiny(tmp_path_factory.mktemp("pretrained") / "run", "pretrain", **LONGER)
    (root / "pretrain" / "done.json").unlink()
    return root


@pytest.fixture
def run(pretrained, tmp_path):
    return shutil.copytree(pretrained, tmp_path / "run")


def state(root):
    checkpoint = load(root / "pretrain" / "iter_12.pth")
    kept = ("meta", "state_dict", "optimizer", "param_schedulers")
    return flatten({key: checkpoint[key] for key in kept}, "pretrain")


def names(root):
    return sorted(path.name for path in (root / "pretrain").glob("*.pth*"))


def test_it_goes_back_and_keeps_what_was_newer(run, pretrained):
    best = run / "pretrain" / "best_mIoU_iter_8.pth"
    shutil.copy(run / "pretrain" / "iter_8.pth", best)
    (run / "pretrain" / "iter_12.pth").write_bytes(b"what went wrong")
    run_tiny(run, "pretrain", resume=str(run / "pretrain" / "iter_4.pth"), **LONGER)
    assert names(run) == [
        "best_mIoU_iter_8.pth.set_aside",
        "iter_12.pth",
        "iter_12.pth.set_aside",
        "iter_4.pth",
        "iter_8.pth",
        "iter_8.pth.set_aside",
    ]
    assert (run / "pretrain" / "iter_12.pth.set_aside").read_bytes() == b"what went wrong"
    assert_same(state(pretrained), state(run))


def test_one_from_elsewhere_needs_a_stage(pretrained, tmp_path):
    elsewhere = shutil.copy(pretrained / "pretrain" / "iter_8.pth", tmp_path / "theirs.pth")
    root = tmp_path / "run"
    # The paths of demo data are those of the work dir.
    shutil.copytree(pretrained / "data", root / "data")
    with pytest.raises(LussError, match=r"in the folder of no stage .* add --stage NAME"):
        run_tiny(root, resume=str(elsewhere), **LONGER)
    run_tiny(root, "pretrain", resume=str(elsewhere), **LONGER)
    assert names(root) == ["iter_12.pth", "iter_8.pth"]
    assert_same(state(pretrained), state(root))


def test_what_cannot_be_gone_on_from(run):
    weights = run / "pretrain" / "best_mIoU_iter_8.pth"
    torch.save({"state_dict": {}, "meta": {"iter": 8, "epoch": 2}}, weights)
    before = names(run)
    for path, stage, said in [
        (run / "pretrain" / "iter_9.pth", None, r"no checkpoint .*iter_9\.pth"),
        (weights, None, "no training state"),
        (run / "pretrain" / "iter_4.pth", "label_generation", "does not train"),
        (run / "label_generation" / "iter_4.pth", None, "does not train"),
    ]:
        with pytest.raises(LussError, match=said):
            run_tiny(run, stage, resume=str(path), **LONGER)
        assert names(run) == before


def test_a_whole_stage_is_not_trained_again(run):
    run_tiny(run, "pretrain", resume=True, **LONGER)
    before = names(run)
    with pytest.raises(LussError, match=r"stage .pretrain. is finished\. .* remove .*done\.json"):
        run_tiny(run, resume=str(run / "pretrain" / "iter_4.pth"), **LONGER)
    assert names(run) == before


def test_another_seed_is_refused(run):
    newer = {**LONGER, "seed": 4}
    elsewhere = shutil.copy(run / "pretrain" / "iter_4.pth", run.parent / "theirs.pth")
    shutil.rmtree(run / "pretrain")
    with pytest.raises(LussError, match=r"seed 3, .* seed is 4"):
        run_tiny(run, "pretrain", resume=str(elsewhere), **newer)
