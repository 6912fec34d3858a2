"""Commands as child processes, several at a time, which a signal reaches all of."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Job", "child_environment", "run_jobs"]

_PAUSE = 0.1
"""Seconds between two looks at the children."""


@dataclass(frozen=True)
class Job:
    """Commands that follow one another; the first that fails ends the job.

    Attributes:
        name: for messages.
        steps: functions that return the next command, or None if there is nothing to do. They
            are called when those before them have succeeded.
        log: file that gets all that the commands say, after what it holds already.
    """

    name: str
    steps: Sequence[Callable[[], list[str] | None]]
    log: Path


class _Child:
    """A job that is going on, in a process group of its own."""

    def __init__(self, job: Job, slot: int, environment: dict[str, str]) -> None:
        self.job, self.slot, self.environment = job, slot, environment
        self.steps = iter(job.steps)
        self.process: subprocess.Popen | None = None
        self.begun = time.monotonic()

    def start_next(self) -> bool:
        """Start the next command, if there is one."""
        for step in self.steps:
            if (command := step()) is None:
                continue
            self.job.log.parent.mkdir(parents=True, exist_ok=True)
            with self.job.log.open("ab") as log:
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                    start_new_session=True,
                )
            return True
        return False

    def send(self, number: int) -> None:
        """Send a signal to the command and all processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def child_environment(
    slot: int,
    jobs: int,
    environment: Mapping[str, str],
    cores: int,
    devices: Sequence[str] = (),
) -> dict[str, str]:
    """Variables of the commands of one of several places at which jobs go on side by side.

    With several jobs the cores are shared out, unless ``OMP_NUM_THREADS`` is set already, and each
    place gets one of the devices in turn.

    Args:
        slot: number of the place, from 0.
        jobs: how many places there are.
        environment: the variables to start from.
        cores: that this process may use.
        devices: values for ``CUDA_VISIBLE_DEVICES``.
    """
    variables = dict(environment)
    if jobs > 1:
        variables.setdefault("OMP_NUM_THREADS", str(max(1, cores // jobs)))
        if devices:
            variables["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    return variables


def run_jobs(
    jobs: Sequence[Job],
    environments: Sequence[dict[str, str]],
    on_start: Callable[[Job], None] = lambda job: None,
    on_end: Callable[[Job, int, float], None] = lambda job, code, seconds: None,
) -> tuple[dict[str, int], int | None]:
    """Run jobs, as many at a time as there are environments; one that fails stops no other.

    SIGINT, SIGTERM and SIGHUP are handed on to all children (SIGHUP as SIGTERM), which are waited
    for; nothing more is started. A second one kills what still runs.

    Args:
        jobs: to be run, in order; their names differ.
        environments: variables of each place.
        on_start: called when a job starts.
        on_end: called with a job's exit code, negative for a signal, and how many seconds it took.

    Returns:
        Exit codes by name of the jobs that ended, and the signal that stopped all, or None.
    """
    codes: dict[str, int] = {}
    waiting = list(reversed(jobs))
    free = list(range(len(environments)))
    children: list[_Child] = []
    with _noted_signals() as noted, _none_left_over(children):
        handed_on = 0
        while children or (waiting and not noted):
            while free and waiting and not noted:
                job, slot = waiting.pop(), free.pop(0)
                child = _Child(job, slot, environments[slot])
                on_start(job)
                if child.start_next():
                    children.append(child)
                else:
                    codes[job.name] = 0
                    free.append(slot)
            for number in noted[handed_on:]:
                for child in children:
                    child.send(number if handed_on == 0 else signal.SIGKILL)
                handed_on += 1
            time.sleep(_PAUSE)
            for child in list(children):
                code = child.process.poll()
                if code is None or (code == 0 and not noted and child.start_next()):
                    continue
                children.remove(child)
                free.append(child.slot)
                codes[child.job.name] = code
                on_end(child.job, code, time.monotonic() - child.begun)
    return codes, noted[0] if noted else None


@contextlib.contextmanager
def _none_left_over(children: list[_Child]) -> Iterator[None]:
    """End the children if this process fails, such as for a full disk."""
    try:
        yield
    except BaseException:
        for child in children:
            child.send(signal.SIGTERM)
        for child in children:
            child.process.wait()
        raise


@contextlib.contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """A list that gets the signals that come, SIGHUP as SIGTERM, in place of what they did."""
    noted: list[int] = []

    def note(number: int, frame: object) -> None:
        noted.append(signal.SIGTERM if number == signal.SIGHUP else number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    # nohup has it ignored.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
