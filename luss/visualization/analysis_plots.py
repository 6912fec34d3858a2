"""Plots of the foreground analysis of a run: sources over thresholds, and the ladder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from luss.evaluation.ladder import RUNGS
from luss.files import atomic_write

__all__ = ["plot_analysis"]


def plot_analysis(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw ``thresholds.png``, ``auc.png`` and ``ladder.png``.

    Args:
        found: content of ``analysis.json``.
        folder: of the plots.

    Returns:
        The files.
    """
    figures = {
        "thresholds": _thresholds(found["sources"]),
        "auc": _auc(found["sources"]),
        "ladder": _ladder(found["ladder"]),
    }
    paths = []
    for name, figure in figures.items():
        paths.append(Path(folder, f"{name}.png"))
        with atomic_write(paths[-1]) as file:
            figure.savefig(file, format="png", dpi=120)
    return paths


def _thresholds(sources: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("IoU", "F_beta"), strict=True):
        for place, (source, values) in enumerate(sources.items()):
            curves = values["curves"]
            style = ("-", "--", ":")[place // 10 % 3]
            axes.plot(curves["thresholds"], curves[name], style, label=source)
        axes.set(xlabel="threshold", ylabel=f"{name} of the foreground, %", xlim=(0, 1))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8)
    return figure


def _auc(sources: Mapping[str, Any]) -> Figure:
    shown = {name: values for name, values in sources.items() if values["AUC over images"]}
    names = sorted(shown, key=lambda name: shown[name]["AUC within images"] or 0)
    figure = Figure(figsize=(7, 1 + 0.36 * len(names)), layout="constrained")
    axes = figure.subplots()
    for offset, what in ((0.2, "AUC within images"), (-0.2, "AUC over images")):
        values = [shown[name][what] or 0 for name in names]
        bars = axes.barh([place + offset for place in range(len(names))], values, 0.38, label=what)
        axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=7)
    axes.axvline(0.5, color="0.4", linewidth=1)
    axes.set(yticks=range(len(names)), xlim=(0, 1.1))
    axes.set_yticklabels(names, fontsize=8)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower right", fontsize=8, ncols=2)
    return figure


def _ladder(ladder: Mapping[str, Mapping[str, float]]) -> Figure:
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(ladder)
    for place, (name, rungs) in enumerate(ladder.items()):
        at = [index + (place - (len(ladder) - 1) / 2) * height for index in range(len(RUNGS))]
        bars = axes.barh(at, [rungs[rung] for rung in RUNGS], height, label=name)
        axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    axes.set(yticks=range(len(RUNGS)), xlabel="mIoU, %", xlim=(0, 110))
    axes.set_yticklabels(RUNGS.values())
    axes.invert_yaxis()
    axes.legend(loc="lower right", fontsize=8)
    return figure
