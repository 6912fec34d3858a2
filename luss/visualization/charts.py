"""Line charts as SVG inside the page, in the page's own colours, light or dark."""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

__all__ = ["line_chart", "summarise"]

# Placeholders that are replaced by the page's CSS colours in the SVG.
_INK, _GRID, _LINE, _MARK = "#010203", "#010204", "#010205", "#010206"
_OF_PAGE = {
    _INK: "currentColor",
    _GRID: "var(--line)",
    _LINE: "var(--accent)",
    _MARK: "var(--mark)",
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "luss",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GRID,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.limits": (-3, 5),
}
_POINTS = 300


def summarise(
    steps: NDArray[np.number], values: NDArray[np.floating], points: int
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Summarise a long series by runs of neighbouring values.

    Args:
        steps: (n,) ascending, n >= 1.
        values: (n,).
        points: largest number of runs.

    Returns:
        The last step, the mean, the smallest and the largest value of each run; runs have one value
        if n <= ``points``.
    """
    length = -(-len(steps) // points)
    starts = np.arange(0, len(steps), length)
    ends = np.append(starts[1:], len(steps))
    return (
        steps[ends - 1],
        np.add.reduceat(values, starts) / (ends - starts),
        np.minimum.reduceat(values, starts),
        np.maximum.reduceat(values, starts),
    )


def line_chart(
    x: Sequence[float],
    y: Sequence[float],
    x_label: str,
    y_label: str,
    *,
    mark: float | None = None,
    size: tuple[float, float] = (3.6, 2.2),
) -> Markup:
    """Draw one line.

    More than 300 values are drawn as means of neighbours, with a band from the smallest to the
    largest of them.

    Args:
        x: ascending.
        y: values of equal number.
        x_label: of the horizontal axis.
        y_label: of the vertical axis, and name of the chart.
        mark: x of a vertical line.
        size: inches.

    Returns:
        An ``svg`` element as wide as its place.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        at, mean, low, high = summarise(np.asarray(x, float), np.asarray(y, float), _POINTS)
        if len(at) < len(x):
            axes.fill_between(at, low, high, color=_LINE, alpha=0.2, linewidth=0)
        axes.plot(at, mean, color=_LINE, linewidth=1.5, marker="o" if len(at) == 1 else None)
        if mark is not None:
            axes.axvline(mark, color=_MARK, linewidth=1.5, linestyle=(0, (4, 3)))
        axes.set_xlabel(x_label, parse_math=False)
        axes.set_ylabel(y_label, parse_math=False)
        axes.grid(axis="y", color=_GRID, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=bool(np.all(at == np.rint(at)))))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return _embedded(written.getvalue(), f"Chart of {y_label} over {x_label}")


def _embedded(svg: str, text: str) -> Markup:
    """Convert matplotlib's SVG file to an element of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style).*?</\1>|<style[^>]*/>", "", svg, flags=re.DOTALL)
    # Ids of groups such as 'axes_1' would repeat in every chart.
    svg = re.sub(r' id="[A-Za-z0-9]+_\d+"', "", svg)
    for stand_in, colour in _OF_PAGE.items():
        svg = svg.replace(stand_in, colour)
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None, "matplotlib writes a viewBox"
    opening = f'<svg {box[0]} role="img" aria-label="{escape(text)}">'
    return Markup(re.sub(r"<svg[^>]*>", lambda _: opening, svg, count=1))
