"""Several processes end with one message, printed once."""

import signal
import socket
import textwrap

import pytest
from processes import Command, run_command

PRELUDE = """
    import os, signal, sys, time
    from luss.command_line import exit_cleanly, leave_on_signals
    from luss.errors import LussError
    rank = int(os.environ["RANK"])
    with exit_cleanly():
        leave_on_signals()
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(tmp_path, body, port):
    script = tmp_path / "script.py"
    body = textwrap.indent(textwrap.dedent(body), " " * 4)
    script.write_text(textwrap.dedent(PRELUDE) + body)
    return Command(
        *("-m", "luss.launcher", "--nproc_per_node=2", "--master_addr=127.0.0.1"),
        *(f"--master_port={port}", script),
        separate=True,
    )


def run(tmp_path, body, port=None):
    process = start(tmp_path, body, port or free_port())
    _, said = process.communicate(timeout=100)
    return process.returncode, said


def test_an_error_of_all_processes_is_printed_once(tmp_path):
    code, said = run(tmp_path, "raise LussError('no such photo')")
    assert (code, said) == (2, "error: no such photo\n")


def test_a_fault_of_one_process_keeps_its_traceback(tmp_path):
    code, said = run(tmp_path, "time.sleep(60 * (1 - rank)); {}['key']")
    assert code == 1
    assert said.count("Traceback") == 1
    assert said.rstrip().endswith("KeyError: 'key'")


def test_a_process_that_was_killed(tmp_path):
    body = "os.kill(os.getpid(), signal.SIGKILL) if rank else time.sleep(60)"
    code, said = run(tmp_path, body)
    assert code == 128 + signal.SIGKILL
    (line,) = said.splitlines()
    for word in ("process 1", "SIGKILL", "memory", "num_workers", "--resume"):
        assert word in line


def test_a_port_in_use_names_the_setting(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, said = run(tmp_path, "pass", port)
    assert code == 2
    (line,) = said.splitlines()
    assert f"port {port} " in line and f"PORT={port + 1} " in line


def test_a_signal_to_the_launcher(tmp_path):
    body = "os.write(1, b'begun\\n'); time.sleep(60)"
    process = start(tmp_path, body, free_port())
    assert process.stdout.readline() == "begun\n"
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    (line,) = said.splitlines()
    assert "SIGINT" in line and "--resume" in line


@pytest.mark.parametrize("workers_end", ["kill", "exit"])
def test_a_killed_loader_worker_is_one_line(workers_end):
    end = "os.kill(os.getpid(), 9)" if workers_end == "kill" else "os._exit(1)"
    code = textwrap.dedent(
        f"""
        import os
        from torch.utils.data import DataLoader
        from luss.command_line import exit_cleanly
        class Killed:
            def __len__(self):
                return 3
            def __getitem__(self, index):
                {end}
        with exit_cleanly():
            list(DataLoader(Killed(), num_workers=1))
        """
    )
    done = run_command("-c", code)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in ("memory", "num_workers", "--resume"))
