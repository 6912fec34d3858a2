"""A tiny run, and commands as they are called."""

import argparse
import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pipeline"))

from tiny_run import run_tiny


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The work dir of a finished run."""
    return run_tiny(tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def command(capsys):
    """Function that calls a command with arguments; what it said on standard output."""

    def call(name, *arguments):
        module = importlib.import_module(f"luss.commands.{name}")
        parser = argparse.ArgumentParser(description=module.DESCRIPTION)
        module.add_arguments(parser)
        capsys.readouterr()
        module.run(parser.parse_args([str(argument) for argument in arguments]))
        return capsys.readouterr().out

    return call
