"""Sections of a report: registered functions of a run's files."""

from typing import NamedTuple

from luss.errors import LussError

__all__ = ["DEFAULT_SECTIONS", "Section", "require_positive"]

DEFAULT_SECTIONS = (
    "metrics",
    "gallery",
    "discovered",
    "threshold",
    "training",
    "provenance",
)


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        heading: of the part; its first word in lower case is the anchor.
        content: HTML below the heading as ``markupsafe.Markup``; other text is escaped.
    """

    heading: str
    content: str

    @property
    def anchor(self) -> str:
        """Identifier of the part in addresses."""
        return self.heading.split()[0].lower()


def require_positive(**limits: int) -> None:
    """Check that limits of a section are at least 1.

    Raises:
        LussError: if one is not.
    """
    for name, value in limits.items():
        if value < 1:
            raise LussError(f"{name} is {value}, expected 1 or more")
