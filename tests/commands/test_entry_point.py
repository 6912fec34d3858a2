"""``luss COMMAND``: what it lists, what it hands over, what it imports."""

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from luss.commands import COMMANDS

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = sorted(place for place in COMMANDS.values() if not place.endswith(".py"))


def luss(*arguments, cwd):
    command = [sys.executable, "-m", "luss", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def test_help_lists_each_command_in_a_line(tmp_path):
    listed = luss("--help", cwd=tmp_path)
    assert listed.returncode == 0
    rows = [line.split(maxsplit=1) for line in listed.stdout.splitlines() if line[:2] == "  "]
    assert [name for name, _ in rows] == list(COMMANDS)
    assert all(text.strip().endswith(".") or len(text) > 20 for _, text in rows)
    without = luss(cwd=tmp_path)
    assert (without.returncode, without.stderr) == (2, listed.stdout)


@pytest.mark.parametrize("name", ["make-demo-data", "make_demo_data", "new-project"])
def test_a_command_by_its_name_and_as_its_script_is_called(name, tmp_path):
    said = luss(name, "--help", cwd=tmp_path)
    assert said.returncode == 0
    assert said.stdout.startswith(f"usage: luss {name.replace('_', '-')} ")


def test_an_unknown_command_names_the_one_that_was_meant(tmp_path):
    said = luss("sweap", cwd=tmp_path)
    assert said.returncode == 2
    assert "luss has no command 'sweap'; did you mean 'sweep'?" in said.stderr


def test_errors_of_a_command_are_one_line(tmp_path):
    said = luss("new-project", "No-Name", cwd=tmp_path)
    assert said.returncode == 2
    assert said.stderr.startswith("error: the project name 'No-Name' ")
    assert said.stderr.count("\n") == 1


def test_every_script_is_a_command():
    tools = REPOSITORY / "tools"
    scripts = {str(path.relative_to(tools)) for path in tools.rglob("*.py")}
    listed = {place for place in COMMANDS.values() if place.endswith(".py")}
    thin = {name for name in scripts - listed if "run_command(" in (tools / name).read_text()}
    assert listed | thin == scripts
    assert len(thin) == len(MODULES)


@pytest.mark.parametrize("place", MODULES)
def test_a_commands_module_has_what_is_asked_of_it(place):
    module = importlib.import_module(place)
    assert module.DESCRIPTION.partition("\n")[0]
    assert callable(module.add_arguments) and callable(module.run)


def test_help_imports_neither_torch_nor_mmengine(tmp_path):
    code = (
        "import sys; sys.argv = ['luss', '--help']; from luss.commands import main; main(); "
        "print(sorted({'torch', 'mmengine', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stderr.strip() == "[]"


LOGS_AND_PRINTS = """
import logging, sys
from luss.command_line import exit_cleanly
with exit_cleanly():
    logging.basicConfig(stream=sys.stdout, level=logging.INFO)
    logging.info("before"); print("after")
"""
RAISES = """
from luss.command_line import exit_cleanly
with exit_cleanly():
    raise BrokenPipeError(32, "of a worker")
"""


@pytest.mark.parametrize("call", [["-m", "luss", "--help"], ["-c", LOGS_AND_PRINTS]])
def test_a_reader_that_has_gone_is_no_error(call):
    """As after ``| head``, which ends once it has its lines."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, *call], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_a_pipe_of_something_else_keeps_its_traceback():
    done = subprocess.run([sys.executable, "-c", RAISES], capture_output=True, text=True)
    assert done.returncode == 1
    assert "BrokenPipeError: [Errno 32] of a worker" in done.stderr
