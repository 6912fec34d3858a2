"""The base class of user errors."""

import difflib
from collections.abc import Iterable

__all__ = ["LussError", "nearest"]


class LussError(Exception):
    """Invalid input or configuration; the message names the value, what is accepted, what to do.

    The command lines print the message without a traceback and exit with code 2.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest known name, or '.'."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "."
