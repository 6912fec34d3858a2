"""Child processes: side by side, stopped together, and one that fails stops no other."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from sweeps import processes
from sweeps.processes import Job, child_environment, run_jobs


def job(folder, name, *programs):
    steps = [lambda p=program: [sys.executable, "-c", p] for program in programs]
    return Job(name, steps, folder / f"{name}.log")


def test_codes_logs_and_order(tmp_path):
    ended = []
    jobs = [
        job(tmp_path, "fails", "print('first'); raise SystemExit(3)", "print('never')"),
        job(tmp_path, "works", "print('one')", "print('two')"),
        Job("idle", [lambda: None], tmp_path / "idle.log"),
        job(tmp_path, "killed", "import os; os.kill(os.getpid(), 9)"),
    ]
    note = lambda job, code, seconds: ended.append((job.name, code))  # noqa: E731
    codes, number = run_jobs(jobs, [dict(os.environ)], on_end=note)
    assert codes == {"fails": 3, "works": 0, "idle": 0, "killed": -9}
    assert number is None
    assert ended == [("fails", 3), ("works", 0), ("killed", -9)]
    assert (tmp_path / "fails.log").read_text() == "first\n"
    assert (tmp_path / "works.log").read_text() == "one\ntwo\n"


def test_two_at_a_time(tmp_path):
    # Each waits for the other's file.
    meet = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        Path({!r}).touch()
        for _ in range(600):
            if Path({!r}).exists():
                sys.exit(0)
            time.sleep(0.05)
        sys.exit(1)
    """)
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    jobs = [job(tmp_path, "x", meet.format(a, b)), job(tmp_path, "y", meet.format(b, a))]
    assert run_jobs(jobs, [dict(os.environ)] * 2)[0] == {"x": 0, "y": 0}


PARENT = """
    import importlib.util, os, signal, sys
    from pathlib import Path

    # Where the tests are run by nohup, it is ignored, and so it would be here.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Without the package around, whose libraries take long to load.
    spec = importlib.util.spec_from_file_location("processes", sys.argv[1])
    processes = sys.modules["processes"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(processes)
    Job, run_jobs = processes.Job, processes.run_jobs
    folder = Path(sys.argv[2])
    child = [sys.executable, "-c", Path(folder, "child.py").read_text()]
    jobs = [Job(name, [lambda: child], folder / f"{name}.log") for name in "abc"]
    codes, number = run_jobs(jobs, [dict(os.environ)] * 2)
    print(codes, number)
"""
CHILD = """
    import signal, sys, time
    def leave(number, frame):
        print("got", number, flush=True)
        sys.exit(7)
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGHUP, signal.SIGTERM),
    ],
)
def test_a_signal_reaches_the_children_and_starts_no_more(tmp_path, sent, received):
    parent = start_parent(tmp_path, CHILD)
    parent.send_signal(sent)
    said, _ = parent.communicate(timeout=60)
    assert said == f"{{'a': 7, 'b': 7}} {int(received)}\n"
    for name in "ab":
        assert (tmp_path / f"{name}.log").read_text() == f"ready\ngot {int(received)}\n"
    assert not (tmp_path / "c.log").exists()


def test_a_second_signal_kills_what_does_not_end(tmp_path):
    parent = start_parent(tmp_path, CHILD.replace("sys.exit(7)", "time.sleep(60)"))
    parent.send_signal(signal.SIGTERM)
    wait_for(tmp_path, "got")
    parent.send_signal(signal.SIGTERM)
    said, _ = parent.communicate(timeout=60)
    assert said == f"{{'a': -9, 'b': -9}} {int(signal.SIGTERM)}\n"


def start_parent(folder, child):
    (folder / "child.py").write_text(textwrap.dedent(child))
    program = textwrap.dedent(PARENT)
    command = [sys.executable, "-c", program, processes.__file__, str(folder)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_for(folder, "ready")
    return parent


def wait_for(folder, text):
    logs = [Path(folder, f"{name}.log") for name in "ab"]
    for _ in range(1200):
        if all(log.exists() and text in log.read_text() for log in logs):
            return
        time.sleep(0.05)
    raise AssertionError(f"never said {text!r}")


def test_children_end_with_a_parent_that_fails(tmp_path):
    first = job(tmp_path, "first", textwrap.dedent(CHILD))
    handler = signal.getsignal(signal.SIGINT)

    def fail():
        for _ in range(1200):
            if first.log.exists() and "ready" in first.log.read_text():
                raise OSError("no space")
            time.sleep(0.05)

    with pytest.raises(OSError, match="no space"):
        run_jobs([first, Job("second", [fail], tmp_path / "log")], [dict(os.environ)] * 2)
    assert f"got {int(signal.SIGTERM)}" in first.log.read_text()
    assert signal.getsignal(signal.SIGINT) is handler


def test_cores_and_devices_are_shared_out():
    assert child_environment(0, 1, {"A": "b"}, 8, ["0", "1"]) == {"A": "b"}
    threads = [child_environment(0, jobs, {}, 8)["OMP_NUM_THREADS"] for jobs in (2, 3, 16)]
    assert threads == ["4", "2", "1"]
    assert child_environment(0, 2, {"OMP_NUM_THREADS": "5"}, 8)["OMP_NUM_THREADS"] == "5"
    devices = [
        child_environment(slot, 3, {}, 8, ["4", "7"])["CUDA_VISIBLE_DEVICES"] for slot in range(3)
    ]
    assert devices == ["4", "7", "4"]
