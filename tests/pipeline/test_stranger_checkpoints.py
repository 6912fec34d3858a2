"""Checkpoints of strangers in a work dir are data: nothing in them runs."""

import shutil

import pytest
import torch
from tiny_run import run_tiny

from luss.engine.checkpoint import load
from luss.errors import LussError


@pytest.fixture
def begun(tmp_path, finished_run):
    """A work dir whose pretraining was stopped after two of three epochs; and that checkpoint."""
    work_dir = tmp_path / "run"
    shutil.copytree(finished_run / "pretrain", work_dir / "pretrain")
    for name in ("done.json", "iter_12.pth"):
        (work_dir / "pretrain" / name).unlink()
    return work_dir, work_dir / "pretrain" / "iter_8.pth"


def plant(path, change):
    checkpoint = load(path)
    change(checkpoint)
    torch.save(checkpoint, path)


def test_code_in_texts_is_not_evaluated(begun, tmp_path, finished_run):
    work_dir, path = begun
    made = tmp_path / "made"
    code = f"open({str(made)!r}, 'w')\nfrom pathlib import Path\nPath({str(made)!r}).touch()\n"

    def write_code(checkpoint):
        checkpoint["meta"] |= {"cfg": code, "config": code, "experiment_name": code}
        checkpoint["message_hub"]["runtime_info"] |= {"cfg": code, "seed": code}
        checkpoint["message_hub"]["log_scalars"] = {"train/loss": code}

    plant(path, write_code)
    run_tiny(work_dir, "pretrain", resume=True)
    assert not made.exists()
    ours, theirs = (load(root / "pretrain" / "iter_12.pth") for root in (finished_run, work_dir))
    assert all(
        torch.equal(value, theirs["state_dict"][key]) for key, value in ours["state_dict"].items()
    )
    assert code not in str(theirs["meta"]) + str(theirs["message_hub"])


def test_weights_alone_cannot_be_resumed(begun):
    work_dir, path = begun
    plant(path, lambda checkpoint: checkpoint.pop("optimizer"))
    with pytest.raises(LussError, match=r"iter_8\.pth contains weights, but not the training"):
        run_tiny(work_dir, "pretrain", resume=True)


def test_checkpoint_of_another_model_is_refused(begun):
    work_dir, path = begun
    plant(path, lambda checkpoint: checkpoint["state_dict"].pop("backbone.conv1.weight"))
    with pytest.raises(LussError, match=r"only in the model: backbone\.conv1\.weight"):
        run_tiny(work_dir, "pretrain", resume=True)


def test_checkpoints_hold_plain_data(finished_run):
    def plain(value):
        if isinstance(value, dict):
            return all(isinstance(key, str | int) and plain(entry) for key, entry in value.items())
        if isinstance(value, list | tuple):
            return all(map(plain, value))
        return isinstance(value, torch.Tensor) or type(value) in (int, float, bool, str, type(None))

    for path in finished_run.glob("*/*.pth"):
        checkpoint = load(path)
        assert plain({key: checkpoint[key] for key in checkpoint})
        assert not {"cfg", "config"} & checkpoint["meta"].keys()
