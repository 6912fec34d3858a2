"""Commands and ranks in processes of their own that start at once.

Importing PyTorch and OpenMMLab takes seconds, more than most commands of the tests. One server per
test process imports them, and each command is a fork of the server. `tests/commands` and
`tests/docs` start some commands in new interpreters, too.
"""

import datetime
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing

REPOSITORY = Path(__file__).resolve().parents[2]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["cv2", "scipy.optimize", "skimage", "mmselfsup", "luss.stages"])


class Command:
    """A Python command in a process group of its own, on one thread; much like `Popen`.

    Args:
        arguments: as of `python`; paths of scripts are relative to the repository.
        environment: variables to add to those of this process.
        folder: current folder of the command; by default that of this process.
        separate: whether standard error has a pipe of its own, `stderr`.
    """

    def __init__(self, *arguments, environment=(), folder=None, separate=False):
        stdout, out = _CONTEXT.Pipe(duplex=False)
        stderr, error = _CONTEXT.Pipe(duplex=False) if separate else (None, out)
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **dict(environment)}
        self._process = _CONTEXT.Process(
            target=_run, args=([*map(str, arguments)], variables, folder or Path.cwd(), out, error)
        )
        self._process.start()
        out.close()
        error.close()
        self.stdout, self.stderr = _reader(stdout), separate and _reader(stderr)
        self.pid = self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.returncode

    def terminate(self):
        self._process.terminate()

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self._process.kill()

    def communicate(self, timeout=300):
        """Wait for the end, killing it after `timeout` seconds; return both texts."""
        timer = threading.Timer(timeout, os.killpg, (self.pid, signal.SIGKILL))
        timer.start()
        with ThreadPoolExecutor(2) as pool:
            texts = pool.map(lambda pipe: pipe.read() if pipe else "", (self.stdout, self.stderr))
        self._process.join()
        timer.cancel()
        return tuple(texts)


def _reader(connection):
    with connection:
        return os.fdopen(os.dup(connection.fileno()))


def _run(arguments, variables, folder, out, error):
    os.setsid()
    os.dup2(out.fileno(), 1)
    os.dup2(error.fileno(), 2)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    # As in a new interpreter, which has no start method yet.
    multiprocessing.set_start_method(None, force=True)
    torch.set_num_threads(1)
    script, *rest = arguments
    if script == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), sys.modules["__main__"].__dict__)
    elif script == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        path = REPOSITORY / script
        sys.argv = [str(path), *rest]
        sys.path.insert(0, str(path.parent))
        runpy.run_path(str(path), run_name="__main__")


def run_command(*arguments, timeout=120, **settings):
    """Run a command to its end; return a `CompletedProcess`. See `Command` for the arguments."""
    command = Command(*arguments, separate=True, **settings)
    stdout, stderr = command.communicate(timeout)
    return subprocess.CompletedProcess(arguments, command.returncode, stdout, stderr)


def run_ranks(work, folder, *arguments, processes=2):
    """Call `work(rank, folder, *arguments)` in processes that have met; wait for their end.

    Args:
        work: function of a module that the processes can import.
        folder: an existing one; the processes meet in its file `meet`.
        arguments: of `work`, behind the folder.
        processes: how many there are.
    """
    torch.multiprocessing.start_processes(
        _meet, (work, str(folder), processes, arguments), processes, start_method="forkserver"
    )


def _meet(rank, work, folder, processes, arguments):
    multiprocessing.set_start_method(None, force=True)
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meet",
        rank=rank,
        world_size=processes,
        timeout=datetime.timedelta(seconds=60),
    )
    work(rank, folder, *arguments)
    dist.destroy_process_group()


def environments_of_ranks(processes):
    """Return the variables that torchrun would set, one dict per process."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
