"""The argument parsers of the command lines, captured when they parse."""

import argparse
import contextlib
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

from luss_docs.links import REPOSITORY

__all__ = ["parse", "parser_of"]


class _Parsed(BaseException):
    """Raised to stop a command line after it has parsed its arguments."""

    def __init__(self, parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
        self.parser, self.parsed = parser, args


def parse(script: str | Path, arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments of a script without running it.

    Args:
        script: path of a Python file; relative ones are relative to the repository.
        arguments: behind its name.

    Raises:
        SystemExit: if its parser rejects them.
    """
    original = argparse.ArgumentParser.parse_args

    def stop(parser, args=None, namespace=None):
        raise _Parsed(parser, original(parser, args, namespace))

    return _stopped(script, arguments, stop).parsed


def parser_of(script: str | Path, arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the argument parser of a script.

    Args:
        script: see :func:`parse`.
        arguments: in front of those that the parser reads, such as the name of a command.
    """

    def stop(parser, args=None, namespace=None):
        raise _Parsed(parser, argparse.Namespace())

    return _stopped(script, arguments, stop).parser


def _stopped(script: str | Path, arguments: Sequence[str], stop) -> _Parsed:
    path = REPOSITORY / script
    code = compile(path.read_text(encoding="utf-8"), path, "exec")
    argv = [str(script), *arguments]
    with (
        _same_signals(),
        warnings.catch_warnings(),
        patch.object(argparse.ArgumentParser, "parse_args", stop),
        patch.object(sys, "argv", argv),
    ):
        try:
            exec(code, {"__name__": "__main__", "__file__": str(path)})
        except _Parsed as parsed:
            return parsed
    raise RuntimeError(f"{script} parses no arguments")


@contextlib.contextmanager
def _same_signals() -> Iterator[None]:
    """Restore the signal handlers that command lines set."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
