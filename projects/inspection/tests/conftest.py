"""Commands as they are called."""

import importlib

import pytest


@pytest.fixture
def command(capsys):
    """Function that calls a command with arguments, and returns its standard output."""

    def call(name, *arguments):
        capsys.readouterr()
        importlib.import_module(f"inspection.{name}").main([str(each) for each in arguments])
        return capsys.readouterr().out

    return call
