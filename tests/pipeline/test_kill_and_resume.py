"""A run that was killed and resumed ends as one that was not, bit for bit."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
from tiny_run import FAULTY, TINY, assert_same, finish, outcome, run_tiny, start


class Killed(BaseException):
    """Stands for SIGKILL within a process: nothing catches it."""


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
    assert labels == modified(tmp_path / "label_generation" / "pseudo_labels")


def modified(folder):
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/*.png")}


NUMBERS = re.compile(r"Epoch\(train\) *\[\d+\]\[ *\d+/\d+\]")
KILLS = 10


def event_of(line, stage):
    """What of the run a line of the log tells; None for lines that come again on resuming."""
    if match := NUMBERS.search(line):
        return stage, match[0]
    if match := re.search(r"INFO - (saved \S+|[a-z ]+: \d+ images$)", line):
        return stage, match[1].rpartition("/")[2]
    return None


def events(lines):
    """Yield the events of a log as they come, with their stage."""
    stage = None
    for line in lines:
        if match := re.search(r"INFO - stage (\w+)$", line):
            stage = match[1]
        elif event := event_of(line.rstrip(), stage):
            yield event


@pytest.mark.slow
def test_ten_kills_of_the_command(tmp_path):
    options = {"num_workers": 1}
    quiet = start("train.py", TINY, "--work-dir", tmp_path / "quiet", **options)
    order = list(dict.fromkeys(events(quiet.stdout)))
    assert finish(quiet)[0] == 0
    number = {event: index for index, event in enumerate(order)}
    draw = random.Random(0)
    moments = sorted(draw.sample(range(len(order) - 3), KILLS))
    for moment in moments:
        process = start("train.py", TINY, "--work-dir", tmp_path / "killed", "--resume", **options)
        for event in events(process.stdout):
            if number[event] >= moment:
                time.sleep(draw.uniform(0, 0.1))
                os.killpg(process.pid, signal.SIGKILL)
                break
        code, said = finish(process)
        assert code == -signal.SIGKILL, said
    process = start("train.py", TINY, "--work-dir", tmp_path / "killed", "--resume", **options)
    code, said = finish(process)
    assert code == 0, said
    assert_same(outcome(tmp_path / "quiet"), outcome(tmp_path / "killed"))
