"""How far a run is, in a terminal's last line and in lines of a pipe."""

import io
import os
import pty
import re
import time

import pytest
from processes import Command, run_command

from luss.engine.progress import Position, Progress, clock, position
from luss.engine.status_line import StatusLine

PROGRAM = """
import os, sys, time
for terminal in sys.argv[2:]:
    os.dup2(os.open(terminal, os.O_RDWR), 1)
    os.dup2(1, 2)

from pathlib import Path
from mmengine.logging import print_log
from luss.engine.progress import Position, Progress, position
from luss.engine.run_log import open_run_log

open_run_log(Path(sys.argv[1]))
with position(Position("label_generation", 3, 6, expected=100.0, expected_after=3500.0)):
    progress = Progress(8, "image embeddings", interval=0.05)
    for index in range(8):
        time.sleep(0.06 if index < 7 else 0.3)
        progress.advance(1, f"loss {index}")
        if index == 6:
            print_log("a warning", "current")
"""


def run_in_pipe(log):
    done = run_command("-c", PROGRAM, log)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_in_terminal(log):
    ours, theirs = pty.openpty()
    process = Command("-c", PROGRAM, log, os.ttyname(theirs))
    process.stdout.read()
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert process.wait() == 0
    return said.decode()


def screen(said):
    """The lines that a terminal shows in the end, and what was ever on its last one."""
    lines, seen, current = [], [], ""
    for part in re.split(r"(\r\n|\n|\r\x1b\[K|\r)", said):
        if part in ("\n", "\r\n"):
            lines.append(current)
            current = ""
        elif part == "\r\x1b[K":
            current = ""
        elif part and part != "\r":
            current = part
            seen.append(part)
    return [*lines, current], seen


def test_lines_of_a_pipe(tmp_path):
    said = run_in_pipe(tmp_path / "run.log")
    assert "\x1b[K" not in said and "\r" not in said
    lines = [line.rpartition(" - ")[2] for line in said.splitlines()]
    assert lines[0] == "image embeddings: 8 images"
    assert re.match(
        r"\[3/6\] label_generation: image embeddings 12 %, 0:00:0\d left, run 1:0", lines[1]
    )
    assert lines[1].endswith("1/8 images, loss 0")
    assert re.fullmatch(r"image embeddings done: 8 images in 0:00:01, \d+\.\d a second", lines[-1])


def test_one_line_of_a_terminal_and_whole_lines_above_it(tmp_path):
    said = run_in_terminal(tmp_path / "run.log")
    shown, seen = screen(said)
    texts = [re.sub(r"\x1b\[\d*m", "", line).rpartition(" - ")[2] for line in shown]
    assert texts[:2] == ["image embeddings: 8 images", "a warning"]
    assert texts[2].startswith("image embeddings done: 8 images in")
    assert texts[3:] == [""]
    bars = [text for text in seen if text.startswith("[3/6]")]
    assert 1 <= len(bars) < 8
    assert all(len(bar) < 80 for bar in bars)
    assert "[3/6]" not in (tmp_path / "run.log").read_text()


def test_time_left_is_that_of_the_steps_after_the_first(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with position(Position("pretrain", 1, 2, expected=500.0, expected_after=40.0)) as where:
        progress = Progress(10, "training")
        now[0] = 100.0  # processes start
        progress.advance(1)
        for _ in range(4):
            now[0] += 2.0
            progress.advance(1)
        # Five more of two seconds; the plan had 392 seconds more for the stage, 40 for later ones.
        assert progress._text(now[0], "") == (
            "[1/2] pretrain: training 50 %, 0:00:10 left, run 0:07:12, 5/10 images"
        )
        for _ in range(5):
            now[0] += 2.0
            progress.advance(1)
    assert [(one.what, one.total, one.per_item) for one in where.passes] == [("training", 10, 2.0)]
    assert where.seconds == 118.0


def test_what_was_done_before_counts_for_no_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = Progress(100, "training", unit="iterations", done=90)
    now[0] = 3.0
    progress.advance(1)
    assert progress._text(now[0], "loss 1.0") == (
        "training 91 %, 0:00:27 left, 91/100 iterations, loss 1.0"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00:00"), (65, "0:01:05"), (7200, "2:00:00")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_a_stream_that_was_closed_is_no_terminal():
    stream = io.StringIO()
    stream.close()
    assert not StatusLine(stream).on_terminal
