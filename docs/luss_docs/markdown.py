"""Pieces of Markdown."""

from collections.abc import Iterable, Sequence

__all__ = ["cell", "table", "toctree"]


def cell(text: object) -> str:
    """Text that stays within a cell of a table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of pipes."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def toctree(pages: Iterable[str], depth: int = 1) -> str:
    """A list of pages that the sidebar shows, too."""
    return "\n".join(["```{toctree}", f":maxdepth: {depth}", "", *pages, "```"])
