"""Child processes that run several at a time, and all receive signals."""

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
"""Seconds between checks of the children."""


@dataclass(frozen=True)
class Job:
    """Consecutive commands; the first that fails ends the job.

    Attributes:
        name: for messages.
        steps: functions that return the next command, or None if there is nothing to do, called
            after the previous step has succeeded.
        log: file to append the output of the commands to.
    """

    name: str
    steps: Sequence[Callable[[], list[str] | None]]
    log: Path


class _Child:
    """A running job, in its own process group."""

    def __init__(self, job: Job, slot: int, environment: dict[str, str]) -> None:
        self.job, self.slot, self.environment = job, slot, environment
        self.steps = iter(job.steps)
        self._process: subprocess.Popen | None = None
        self.begun = time.monotonic()

    def start_next(self) -> bool:
        """Start the next command, if there is one."""
        for step in self.steps:
            if (command := step()) is None:
                continue
            self.job.log.parent.mkdir(parents=True, exist_ok=True)
            with self.job.log.open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                    start_new_session=True,
                )
            return True
        return False

    @property
    def process(self) -> subprocess.Popen:
        """The running command; only after `start_next` has returned True."""
        assert self._process is not None
        return self._process

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
    """Return the environment of the commands in one of several parallel slots.

    With several slots, cores are divided among them, unless ``OMP_NUM_THREADS`` is set, and slots
    get the devices in turn.

    Args:
        slot: number of the slot, from 0.
        jobs: number of slots.
        environment: variables to start from.
        cores: number of usable cores.
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
    """Run jobs, one at a time per environment; a failed job does not stop the others.

    SIGINT, SIGTERM and SIGHUP are sent to all children (SIGHUP as SIGTERM); no more jobs start,
    and the function waits for the children. A second signal kills them.

    Args:
        jobs: to run, in order; their names must differ.
        environments: variables of each slot.
        on_start: called when a job starts.
        on_end: called with a job, its exit code (negative for a signal) and its seconds.

    Returns:
        Name of each finished job -> exit code, and the signal that stopped the jobs, or None.
    """
    codes: dict[str, int] = {}
    waiting = list(reversed(jobs))
    free = list(range(len(environments)))
    children: list[_Child] = []
    with _received_signals() as received, _stop_on_error(children):
        forwarded = 0
        while children or (waiting and not received):
            while free and waiting and not received:
                job, slot = waiting.pop(), free.pop(0)
                child = _Child(job, slot, environments[slot])
                on_start(job)
                if child.start_next():
                    children.append(child)
                else:
                    codes[job.name] = 0
                    free.append(slot)
            for number in received[forwarded:]:
                for child in children:
                    child.send(number if forwarded == 0 else signal.SIGKILL)
                forwarded += 1
            time.sleep(_PAUSE)
            for child in list(children):
                code = child.process.poll()
                if code is None or (code == 0 and not received and child.start_next()):
                    continue
                children.remove(child)
                free.append(child.slot)
                codes[child.job.name] = code
                on_end(child.job, code, time.monotonic() - child.begun)
    return codes, received[0] if received else None


@contextlib.contextmanager
def _stop_on_error(children: list[_Child]) -> Iterator[None]:
    """Stop the children if this process fails, for instance because the disk is full."""
    try:
        yield
    except BaseException:
        for child in children:
            child.send(signal.SIGTERM)
        for child in children:
            child.process.wait()
        raise


@contextlib.contextmanager
def _received_signals() -> Iterator[list[int]]:
    """Collect received signals in a list, SIGHUP as SIGTERM, instead of handling them."""
    received: list[int] = []

    def collect(number: int, frame: object) -> None:
        received.append(signal.SIGTERM if number == signal.SIGHUP else number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    # nohup ignores SIGHUP.
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, collect) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
