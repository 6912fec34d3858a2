"""A run that was killed and resumed ends as one that was not, bit for bit."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
from states import Killed, assert_same, flatten
from tiny_run import FAULTY, TINY, finish, outcome, run_tiny, start

from luss.configuration import read_config
from luss.engine.checkpoint import load
from luss.pipeline import Pipeline


def interrupt_once(stage, iteration, act):
    """A plan that acts in one iteration (from 0) of one stage, the first time it is reached."""
    acted = []

    def plan(runner):
        if Path(runner.work_dir).name == stage and runner.iter == iteration and not acted:
            acted.append(True)
            act()

    return plan


def kill():
    raise Killed


def test_interrupted_run_ends_as_an_undisturbed_one(tmp_path, finished_run, fault, monkeypatch):
    # Epochs have 4 iterations. SIGTERM saves after its iteration, a kill loses what came since the
    # last checkpoint.
    terminate = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
    for stage, iteration, act, raised in [
        ("pretrain", 2, kill, Killed),
        ("pretrain", 6, terminate, SystemExit),
        ("pretrain", 9, kill, Killed),
        ("pixel_attention", 7, terminate, SystemExit),
    ]:
        fault.plan = interrupt_once(stage, iteration, act)
        with pytest.raises(raised):
            run_tiny(tmp_path, resume=True, **FAULTY)
    fault.plan = None

    sync = os.fsync
    # Each run gets this many files further: into the threshold, pseudo labels, checkpoints of
    # finetune, and predictions.
    for writes in (5, 11, 17, 10):
        left = [writes]

        def sync_until_killed(descriptor, left=left):
            left[0] -= 1
            if not left[0]:
                raise Killed
            sync(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", sync_until_killed)
            with pytest.raises(Killed):
                run_tiny(tmp_path, resume=True, **FAULTY)
        labels = modified(tmp_path / "label_generation" / "pseudo_labels")

    run_tiny(tmp_path, resume=True, **FAULTY)
    assert_same(outcome(finished_run), outcome(tmp_path))
    # What was whole was not made again.
    assert labels
    assert labels.items() <= modified(tmp_path / "label_generation" / "pseudo_labels").items()


def modified(folder):
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/*.png")}


NUMBERS = re.compile(r"Epoch\(train\) *\[\d+\]\[ *\d+/\d+\]")
ENDS = 10


def event_of(line, stage):
    """What of the run a line of the log tells; None for lines that come again on resuming."""
    if match := NUMBERS.search(line):
        return stage, match[0]
    # How many images are left is another number on resuming.
    if match := re.search(r"INFO - (saved \S+|[a-z ]+(?=: \d+ images$))", line):
        return stage, match[1].rpartition("/")[2]
    return None


def events(lines):
    """Yield the events of a log as they come, with their stage."""
    stage = None
    for line in lines:
        if match := re.search(r"INFO - stage \d+ of \d+, (\w+)$", line):
            stage = match[1]
        elif event := event_of(line.rstrip(), stage):
            yield event


def added_lines(process, log, begun):
    """Yield the lines that a process adds behind the first bytes of its log, until it ends."""
    while process.poll() is None and not log.exists():
        time.sleep(0.01)
    with log.open() as file:
        file.seek(begun)
        line = ""
        while line or process.poll() is None:
            line += file.readline()
            if line.endswith("\n") or (line and process.poll() is not None):
                yield line
                line = ""
            else:
                time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_ten_ends_of_the_command(tmp_path, number, code):
    options = {"num_workers": 2}
    quiet = start("train.py", TINY, "--work-dir", tmp_path / "quiet", **options)
    assert finish(quiet)[0] == 0
    with (tmp_path / "quiet" / "run.log").open() as log:
        order = list(dict.fromkeys(events(log)))
    # Moments in all stages; a report tells nothing on its way.
    assert {stage for stage, _ in order} - {None} == set(read_config(TINY).stages) - {"report"}
    assert sum(text.startswith("Epoch(train)") for _, text in order) > ENDS
    place = {event: index for index, event in enumerate(order)}
    draw = random.Random(0)
    moments = sorted(draw.sample(range(len(order) - 3), ENDS))
    for moment in moments:
        log = tmp_path / "ended" / "run.log"
        begun = log.stat().st_size if log.exists() else 0
        process = start("train.py", TINY, "--work-dir", tmp_path / "ended", "--resume", **options)
        for event in events(added_lines(process, log, begun)):
            if place[event] >= moment:
                time.sleep(draw.uniform(0, 0.1))
                os.killpg(process.pid, number)
                break
        found, said = finish(process)
        assert found == code, said
        assert "Traceback" not in said
        assert_group_is_gone(process.pid)
    process = start("train.py", TINY, "--work-dir", tmp_path / "ended", "--resume", **options)
    found, said = finish(process)
    assert found == 0, said
    assert_same(outcome(tmp_path / "quiet"), outcome(tmp_path / "ended"))


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_to_all_processes_saves_and_ends(tmp_path, finished_run, number):
    # In the middle of the second epoch, where no checkpoint is due.
    config = tmp_path / "pausing.py"
    pause = {"type": "PausingHook", "iteration": 6}
    hooks = [*FAULTY["stages__pretrain__custom_hooks"][:2], pause]
    config.write_text(
        f"_base_ = [{str(TINY)!r}]\n"
        'custom_imports = dict(imports=["pausing_hook"])\n'
        f"stages = dict(pretrain=dict(custom_hooks={hooks!r}))\n"
    )
    environment = {"PYTHONPATH": f"{TINY.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    arguments = ("--work-dir", tmp_path / "run", "--stage", "pretrain")
    process = start("train.py", config, *arguments, environment=environment, num_workers=2)
    assert any(line == "waiting for a signal\n" for line in process.stdout)
    os.killpg(process.pid, number)
    code, said = finish(process)
    assert code == 128 + number, said
    assert "Traceback" not in said
    assert f"stopped by {number.name} after iteration 7" in said
    assert_group_is_gone(process.pid)
    folder = tmp_path / "run" / "pretrain"
    assert sorted(path.name for path in folder.glob("*.pth")) == ["iter_4.pth", "iter_7.pth"]

    settings = read_config(config, {"num_workers": 0})
    Pipeline(settings, str(tmp_path / "run")).run("pretrain", resume=True)
    ours, theirs = (
        load(root / "pretrain" / "iter_12.pth") for root in (finished_run, tmp_path / "run")
    )
    for part in ("state_dict", "optimizer", "param_schedulers"):
        assert_same(flatten(ours[part], part), flatten(theirs[part], part))


def assert_group_is_gone(group, seconds=5):
    """Workers end soon after their main process."""
    for _ in range(seconds * 20):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError(f"processes of the group {group} are left over")
