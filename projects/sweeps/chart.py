"""Means, deviations and single runs of all methods, side by side."""

import os

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from luss.files import atomic_write
from sweeps.tables import Methods, main_columns

__all__ = ["plot_methods"]

_COLOURS = {"val": "tab:blue", "test": "tab:orange"}
_PANEL, _LETTER = 2.3, 0.08
"""Inches."""


def plot_methods(path: str | os.PathLike, title: str, methods: Methods) -> None:
    """Draw a panel per metric with a line per method: mean, deviation, and a dot per run.

    Args:
        path: of the PNG.
        title: of the figure.
        methods: of one protocol, with at least one metric besides those by size.
    """
    columns = main_columns(methods)
    metrics = list(dict.fromkeys(metric for metric, _ in columns))
    splits = list(dict.fromkeys(split for _, split in columns))
    width = 1 + _LETTER * max(map(len, methods)) + _PANEL * len(metrics)
    size = (width, 1.2 + 0.45 * len(methods))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        for number, split in enumerate(splits):
            # Splits of a method stand close to one another.
            shift = 0.24 * (number - (len(splits) - 1) / 2)
            colour = _COLOURS.get(split, f"C{2 + number}")
            label: str | None = split
            for row, of_method in enumerate(methods.values()):
                spread = of_method.get(split, {}).get(metric)
                if spread is None or spread.mean is None:
                    continue
                values = spread.defined
                panel.plot(values, [row + shift] * len(values), ".", color=colour, alpha=0.4)
                panel.errorbar(
                    spread.mean,
                    row + shift,
                    xerr=spread.deviation,
                    fmt="D",
                    markersize=4,
                    capsize=3,
                    color=colour,
                    label=label,
                )
                label = None
        panel.set_title(f"{metric}, %", parse_math=False)
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(methods)), list(methods), parse_math=False)
    panels[0].set_ylim(len(methods) - 0.5, -0.5)
    handles: dict[str, Artist] = {}
    for panel in panels:
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    figure.legend(list(handles.values()), list(handles), loc="outside right upper", frameon=False)
    figure.suptitle(title, parse_math=False)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
