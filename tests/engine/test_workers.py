"""Data-loading processes: signals to all do not end them, their main process does."""

import os
import signal
import textwrap
import time
from pathlib import Path

import pytest
from processes import Command

PRELUDE = """
    import os, signal, sys, time
    import torch
    from torch.utils.data import DataLoader
    from luss.engine.workers import iterate, start_worker

    class Slow:
        def __init__(self, seconds):
            self.seconds = seconds
        def __len__(self):
            return 100
        def __getitem__(self, index):
            time.sleep(self.seconds)
            return index

    def loader(seconds):
        return DataLoader(Slow(seconds), batch_size=None, num_workers=2, prefetch_factor=1,
                          persistent_workers=True, worker_init_fn=start_worker)

    def pids(batches):
        return [worker.pid for worker in batches._workers]
"""


def start(code):
    return Command("-c", textwrap.dedent(PRELUDE) + textwrap.dedent(code))


def ended(pid, seconds):
    """Whether a process ends within some seconds; one that nobody waits for counts as ended."""
    for _ in range(int(seconds * 20)):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


pytestmark = pytest.mark.skipif(
    not hasattr(signal, "sigtimedwait") or not Path("/proc/self").is_dir(),
    reason="needs Linux",
)


def test_signals_to_all_processes_leave_workers_alone():
    process = start(
        """
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)
        batches = iterate(loader(0.05))
        print(next(batches), flush=True)
        print(*batches)
        """
    )
    assert process.stdout.readline() == "0\n"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        os.killpg(process.pid, number)
        time.sleep(0.1)
    said, _ = process.communicate(timeout=60)
    assert said.split() == [str(number) for number in range(1, 100)]
    assert process.returncode == 0


def test_busy_workers_do_not_hold_up_the_end():
    # Each item takes a minute: a worker that waited for it would be seen.
    process = start(
        """
        batches = iterate(loader(60))
        time.sleep(0.5)
        sys.exit(3)
        """
    )
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 3, said
    assert not said


def test_workers_end_when_the_main_process_is_killed():
    process = start(
        """
        batches = iterate(loader(60))
        print(*pids(batches), flush=True)
        time.sleep(60)
        """
    )
    workers = [int(pid) for pid in process.stdout.readline().split()]
    assert len(workers) == 2
    time.sleep(0.5)
    process.kill()
    process.wait()
    assert all(ended(pid, 5) for pid in workers)
