"""The base class of user errors, and parts of their messages."""

import difflib
import os
from collections.abc import Iterable

__all__ = ["LussError", "nearest", "printable", "shorten"]


class LussError(Exception):
    """Invalid input or configuration; the message names the value, what is accepted, what to do.

    The command lines print the message without a traceback and exit with code 2.
    """


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the end of a sentence about an unknown name: the nearest known name, or '.'.

    Args:
        name: the unknown name.
        known: the known names.
        cutoff: smallest similarity, see :func:`difflib.get_close_matches`.
    """
    close = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else "."


def shorten(names: Iterable[object], most: int = 10) -> str:
    """Return up to ``most`` names for a message, and the number of the others."""
    listed = [printable(str(name)) for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def printable(path: str) -> str:
    r"""Return a path with bytes that are not UTF-8 written as \xNN."""
    return os.fsencode(path).decode(errors="backslashreplace")
