"""The command ``tools/train.py``: messages, exit codes, signals."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine import Config
from tiny_run import REPOSITORY, TINY, finish, run_tiny, start

from luss.engine.checkpoint import load
from luss.errors import LussError


def until(process, text):
    """Read what a command says, until it says ``text``."""
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"never said {text!r}:\n{said}")


def until_saved(process, work_dir):
    """Wait until a command has written a checkpoint of its first stage."""
    while not list(work_dir.glob("pretrain/iter_*.pth")):
        assert process.poll() is None, "ended before it wrote a checkpoint"
        time.sleep(0.02)


def test_missing_config():
    code, said = finish(start("train.py", "nowhere.py"))
    assert code == 2
    assert said == "error: there is no config nowhere.py; see configs/ for the configs of luss\n"


def test_damaged_photo_in_a_worker_is_one_message(tmp_path):
    run = tmp_path / "run"
    with pytest.raises(LussError):
        # Only to have photos.
        run_tiny(run, num_categories=19)
    photo = sorted((run / "data").glob("train/*/*"))[3]
    photo.write_bytes(photo.read_bytes()[:-100])
    process = start(
        "train.py",
        TINY,
        "--work-dir",
        run,
        num_workers=1,
        stages__pretrain__train_dataloader__dataset__on_unreadable="fail",
    )
    code, said = finish(process)
    assert code == 2
    errors = [line for line in said.splitlines() if "luss - INFO" not in line]
    assert len(errors) == 1, said
    assert errors[0].startswith(f"error: cannot read the image {photo}")


def test_one_process_has_a_work_dir_and_sigterm_ends_it_cleanly(tmp_path):
    long = {"stages__pretrain__train_cfg__max_epochs": 1000}
    process = start("train.py", TINY, "--work-dir", tmp_path, num_workers=1, **long)
    until_saved(process, tmp_path)
    with pytest.raises(LussError, match=f"another process is working in {tmp_path}"):
        run_tiny(tmp_path)
    process.terminate()
    code, said = finish(process)
    assert code == 128 + signal.SIGTERM
    assert "stopped by SIGTERM after iteration" in said
    assert "Traceback" not in said
    newest = max(tmp_path.glob("pretrain/iter_*.pth"), key=lambda path: int(path.stem[5:]))
    assert int(newest.stem[5:]) >= 5
    assert load(newest)["meta"]["iter"] == int(newest.stem[5:])


def test_switches_reach_the_stages_and_a_checkpoint_can_be_named(tmp_path):
    arguments = (TINY, "--work-dir", tmp_path, "--stage", "pretrain", "--amp", "--auto-scale-lr")
    short = {"num_workers": 0, "stages__pretrain__train_cfg__max_epochs": 1}
    code, said = finish(start("train.py", *arguments, **short))
    assert "Next: " not in said
    assert code == 0, said
    config = Config.fromfile(tmp_path / "pretrain" / "config.py")
    assert config.optim_wrapper.type == "AmpOptimWrapper"
    # Four photos a step in place of 256.
    rate = load(tmp_path / "pretrain" / "iter_4.pth")["optimizer"]["param_groups"][0]["initial_lr"]
    assert rate == pytest.approx(config.optim_wrapper.optimizer.lr * 4 / 256)
    newest = tmp_path / "pretrain" / "iter_4.pth"
    code, said = finish(start("train.py", *arguments, "--resume", newest, **short))
    assert code == 2
    assert "error: stage 'pretrain' is finished" in said


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False])
def test_ctrl_c_reaches_all_processes_and_ends_them_cleanly(tmp_path, training):
    process = start("train.py", TINY, "--work-dir", tmp_path, num_workers=2)
    if training:
        until_saved(process, tmp_path)
    else:
        until(process, "image embeddings:")
    os.killpg(process.pid, signal.SIGINT)
    code, said = finish(process)
    assert code == 128 + signal.SIGINT
    assert "Traceback" not in said
    assert "stopped by SIGINT" in said
    assert ("after iteration" in said) == training
    code, said = finish(start("train.py", TINY, "--work-dir", tmp_path, "--resume"))
    assert code == 0, said
    assert (tmp_path / "results.json").exists()
    # The run ends with what to look at and what to do next.
    page, masks, name, predict = said.splitlines()[-4:]
    assert Path(page.removeprefix("Report: ")).samefile(tmp_path / "report" / "index.html")
    assert Path(masks.removeprefix("Masks of these photos: ")).is_dir()
    assert name.startswith(f"Next: luss name-categories {tmp_path} ")
    assert predict.startswith(f"      luss predict {tmp_path} ")


@pytest.mark.slow
def test_full_disk_is_one_message(tmp_path):
    process = start("train.py", TINY, "--work-dir", tmp_path, num_workers=0)
    until_saved(process, tmp_path)
    # Files cannot grow beyond this from now on; logs stay below it.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    code, said = finish(process)
    assert code == 1
    last = said.splitlines()[-1]
    assert last.startswith("error: ")
    assert ".pth: File too large" in last
    assert "Traceback" not in said
    kept = list(tmp_path.glob("pretrain/iter_*.pth"))
    assert kept
    assert all(load(path) for path in kept)
    assert not list(tmp_path.glob("pretrain/.*unfinished"))


@pytest.mark.slow
def test_two_processes_train_and_label(tmp_path):
    batches = {
        f"stages__{stage}__train_dataloader__batch_size": 2
        for stage in ("pretrain", "pixel_attention", "finetune")
    }
    # This generator clusters each rank's share.
    batches["stages__label_generation__generator__type"] = "TorchKMeans"
    options = [f"{key.replace('__', '.')}={value}" for key, value in batches.items()]
    for tool in ("dist_train.sh", "dist_test.sh", "dist_train.sh"):
        if (tmp_path / "evaluate").exists() and tool == "dist_train.sh":
            # The photos are compared with those of the stages that are whole.
            shutil.rmtree(tmp_path / "evaluate")
        command = [REPOSITORY / "tools" / tool, TINY, "2", "--work-dir", tmp_path]
        done = subprocess.run(
            [*command, "--cfg-options", "num_workers=1", *options],
            env={**os.environ, "PYTHON": sys.executable, "PORT": "29623", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    # Both ranks' shares are there: embeddings of all images, labels, predictions.
    photos = {path.stem for path in tmp_path.glob("data/train/*/*")}
    labels = {path.stem for path in tmp_path.glob("label_generation/pseudo_labels/*/*.png")}
    assert labels == photos
    for split in ("validation", "test"):
        truths = {path.stem for path in tmp_path.glob(f"data/{split}/*/*")}
        assert truths == {path.stem for path in tmp_path.glob(f"evaluate/predictions/{split}/*/*")}
    assert load(tmp_path / "pretrain" / "iter_12.pth")["meta"]["processes"] == 2
    assert '"processes": 2' in (tmp_path / "results.json").read_text()
