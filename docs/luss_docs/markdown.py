"""Pieces of Markdown."""

from collections.abc import Iterable, Sequence

__all__ = ["cell", "table", "toctree"]


def cell(text: object) -> str:
    """Escape text for a cell of a table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def toctree(pages: Iterable[str], depth: int = 1) -> str:
    """Return a list of pages for the page and the sidebar."""
    return "\n".join(["```{toctree}", f":maxdepth: {depth}", "", *pages, "```"])
