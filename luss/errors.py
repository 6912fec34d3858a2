"""The base class of user errors, and parts of their messages."""

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["LussError", "Problems", "nearest", "printable", "shorten"]

_SHOWN = 10


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


def shorten(names: Iterable[object], most: int = 10, separator: str = ", ") -> str:
    """Return up to ``most`` names for a message, and the number of the others."""
    listed = [printable(str(name)) for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return separator.join(listed[:most]) + more


def printable(path: str) -> str:
    r"""Return a path with bytes that are not UTF-8 written as \xNN."""
    return os.fsencode(path).decode(errors="backslashreplace")


@dataclass
class Problems:
    """Invalid files by kind of problem.

    Attributes:
        found: kind of problem -> files, with details.
    """

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, file: str) -> None:
        """Add a file to a kind of problem."""
        self.found.setdefault(kind, []).append(file)

    def __bool__(self) -> bool:
        return bool(self.found)

    def __iadd__(self, other: "Problems") -> "Problems":
        for kind, files in other.found.items():
            self.found.setdefault(kind, []).extend(files)
        return self

    def __add__(self, other: "Problems") -> "Problems":
        total = Problems()
        total += self
        total += other
        return total

    def __str__(self) -> str:
        """Return up to ten files of each kind, and the number of files."""
        lines = []
        for kind, files in self.found.items():
            lines.append(f"{len(files)} {kind}:")
            lines += [f"  {file}" for file in sorted(files)[:_SHOWN]]
            if len(files) > _SHOWN:
                lines.append(f"  and {len(files) - _SHOWN} more")
        return "\n".join(lines)

    def raise_if_any(self, title: str) -> None:
        """Raise `LussError` with ``title`` and the list if there is any problem."""
        if self:
            raise LussError(f"{title}\n{self}")
