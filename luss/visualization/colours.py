"""Colours of categories: each has the colour of its matched true class everywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luss.datasets.mask_codec import IGNORE_ID
from luss.datasets.palette import make_palette
from luss.evaluation.category_names import CategoryNames

__all__ = ["UNMATCHED_COLOUR", "Legend", "generated_legend", "named_legend", "true_legend"]

UNMATCHED_COLOUR = (150, 150, 150)
"""Colour of unmatched generated ids, which count as 'other'."""

_IDS = 1 << 16


@dataclass(frozen=True)
class Legend:
    """Colours and names of ids.

    Attributes:
        colours: (65536, 3) uint8 RGB, one for every possible id.
        names: id -> name.
        unmatched: unmatched ids of generated categories.
        ignore: id of ignored pixels; None for generated ids.
        given: the user's names, which merge and drop ids before drawing.
    """

    colours: NDArray[np.uint8]
    names: dict[int, str]
    unmatched: frozenset[int] = frozenset()
    ignore: int | None = None
    given: CategoryNames | None = None

    def apply(self, ids: NDArray[np.integer]) -> NDArray[np.integer]:
        """Return a mask with the user's merged and dropped ids."""
        return ids if self.given is None else self.given.apply(ids)

    def name(self, index: int) -> str:
        """Return the name of an id, by default 'id <id>'."""
        return self.names.get(index, f"id {index}")

    def swatch(self, index: int) -> str:
        """Return a CSS background that looks like the id in pictures."""
        if index == self.ignore:
            return _stripes("#fafafa", "#cdcdcd")
        colour = "rgb({}, {}, {})".format(*self.colours[index])
        return _stripes(colour, "#555") if index in self.unmatched else colour


def true_legend(metainfo: Mapping[str, Any]) -> Legend:
    """Return colours and names of the true classes.

    Args:
        metainfo: of a data set, with ``classes``, 'other' first, and ``palette`` (RGB, 0..255); by
            default without names, and with `make_palette`.
    """
    classes = [str(name) for name in metainfo.get("classes") or ("other",)]
    palette = metainfo.get("palette") or make_palette(len(classes) - 1)
    names = dict(enumerate(classes)) | {IGNORE_ID: "ignored"}
    return Legend(_table(palette), names, ignore=IGNORE_ID)


def generated_legend(num_generated: int, match: NDArray[np.integer] | None, true: Legend) -> Legend:
    """Return colours and names of the generated categories.

    Args:
        num_generated: G.
        match: (G+1,) true ids of generated ids, 0 if unmatched; if None, each category has its own
            colour.
        true: legend of the true classes.
    """
    names = {index: f"category {index}" for index in range(1, num_generated + 1)} | {0: "other"}
    if match is None:
        return Legend(_table(make_palette(num_generated)), names)
    colours = _table([])
    matched = np.flatnonzero(match)
    colours[matched] = true.colours[match[matched]]
    unmatched = frozenset(names) - {0} - set(matched.tolist())
    names |= {index: f"category {index}, unmatched" for index in unmatched}
    names |= {index: true.name(int(match[index])) for index in matched.tolist()}
    return Legend(colours, names, unmatched)


def named_legend(legend: Legend, given: CategoryNames) -> Legend:
    """Return a legend of generated categories with the user's names.

    Merged categories get colour and name of their target; unnamed categories keep their name.

    Args:
        legend: of ids 0..G.
        given: the user's names of ids 0..G.
    """
    ids = np.arange(given.num_categories + 1)
    colours = legend.colours.copy()
    colours[ids] = legend.colours[given.kept]
    kept = given.kept.tolist()
    names = {index: given.names.get(to, legend.name(to)) for index, to in enumerate(kept)}
    unmatched = frozenset(index for index, to in enumerate(kept) if to in legend.unmatched)
    return Legend(colours, {**legend.names, **names}, unmatched, legend.ignore, given)


def _stripes(first: str, second: str) -> str:
    return f"repeating-linear-gradient(135deg, {first} 0 3px, {second} 3px 6px)"


def _table(palette: Sequence[Sequence[int]]) -> NDArray[np.uint8]:
    table = np.full((_IDS, 3), UNMATCHED_COLOUR, np.uint8)
    if len(palette):
        table[: len(palette)] = np.asarray(palette, np.uint8)
    return table
