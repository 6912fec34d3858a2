"""Commands as they are called."""

import argparse
import importlib

import pytest


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
