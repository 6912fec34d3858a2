"""The error that ``luss`` raises for what a user can mend."""

import difflib
from collections.abc import Iterable

__all__ = ["LussError", "nearest"]


class LussError(Exception):
    """Bad input or configuration: says what was found, what was expected, where, what to do.

    The command lines print its message without a traceback and exit with code 2.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence on an unknown name: the known one that was meant, perhaps."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "."
