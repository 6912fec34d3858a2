"""Scalars of several runs in one plot a stage."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from luss.errors import LussError
from luss.files import atomic_write, create_output_folder
from luss.visualization.charts import summarise
from luss.visualization.scalars import Series, read_scalars, shown_names

__all__ = ["plot_logs"]

_POINTS = 300
_COLUMNS = 3
_PANEL = (4.2, 2.7)
"""Inches."""

Runs = Mapping[str, Mapping[str, Series]]
"""Name of each run -> its scalars."""


def plot_logs(
    runs: Mapping[str, Path],
    folder: Path,
    stages: Collection[str] | None = None,
    names: Collection[str] | None = None,
) -> list[Path]:
    """Draw ``<stage>.png``: a panel a scalar, a line a run.

    More than 300 values are drawn as means of neighbours, with a band from the smallest to the
    largest of them.

    Args:
        runs: name -> work dir.
        folder: of the plots; made if it is not there.
        stages: names of stages; by default all that any run has scalars of.
        names: of scalars, such as ``loss`` and ``lr``; a name stands for those that begin with it
            as well (``loss`` for ``loss_p2p``); by default losses, rates and what else was logged.

    Returns:
        The files, in the order in which the stages were trained.

    Raises:
        LussError: if a folder is none, or no run has scalars of a stage or of a name.
    """
    for name, work_dir in runs.items():
        if not work_dir.is_dir():
            raise LussError(f"{work_dir} is no folder; give work dirs of runs")
        if not trained_stages(work_dir):
            raise LussError(
                f"{work_dir} has no <stage>/<timestamp>/vis_data/scalars.json, so there is nothing "
                f"to plot of {name}; stages write it while they train, if the config's visualizer "
                "has a LocalVisBackend"
            )
    known = list(dict.fromkeys(s for path in runs.values() for s in trained_stages(path)))
    for stage in stages or ():
        if stage not in known:
            raise LussError(f"no run has scalars of a stage {stage!r}; of: {', '.join(known)}")
    create_output_folder(folder)
    paths, seen = [], set()
    for stage in [stage for stage in known if stages is None or stage in stages]:
        found = {name: read_scalars(work_dir / stage) for name, work_dir in runs.items()}
        logged = shown_names({name: series for of_run in found.values()
                              for name, series in of_run.items()})  # fmt: skip
        seen.update(logged)
        shown = [name for name in logged if names is None or _is_meant(name, names)]
        if shown:
            paths.append(folder / f"{stage}.png")
            with atomic_write(paths[-1]) as file:
                _figure(stage, shown, found).savefig(file, format="png", dpi=120)
    if not paths:
        raise LussError(
            f"no scalar is called {' or '.join(names or ())}; there are: {', '.join(sorted(seen))}"
        )
    return paths


def trained_stages(work_dir: Path) -> list[str]:
    """Names of the stages with scalars, in the order in which they were first begun."""
    begun: dict[str, tuple] = {}
    for path in work_dir.glob("*/*/vis_data/scalars.json"):
        # Time stamps have whole seconds, in which a tiny stage is done.
        when = path.parts[-3], path.stat().st_mtime_ns
        begun[path.parts[-4]] = min(when, begun.get(path.parts[-4], when))
    return sorted(begun, key=lambda stage: begun[stage])


def _is_meant(name: str, wanted: Collection[str]) -> bool:
    return any(name == word or name.startswith(f"{word}_") for word in wanted)


def _figure(stage: str, names: list[str], runs: Runs) -> Figure:
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    size = (columns * _PANEL[0], rows * _PANEL[1] + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        for number, (run, scalars) in enumerate(runs.items()):
            if series := scalars.get(name):
                _draw(panel, series, f"C{number % 10}", run)
        panel.set_title(name, parse_math=False, fontsize=10)
        panel.set_xlabel("iteration")
        panel.grid(alpha=0.3)
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    figure.suptitle(stage, parse_math=False)
    if len(runs) > 1:
        handles = {}
        for panel in panels:
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        figure.legend(
            handles.values(), handles, loc="outside lower center", ncols=min(4, len(runs))
        )
    return figure


def _draw(panel, series: Series, colour: str, label: str) -> None:
    steps, values = np.array(list(series)), np.array(list(series.values()))
    at, mean, low, high = summarise(steps, values, _POINTS)
    if len(at) < len(steps):
        panel.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
    marker = "o" if len(at) == 1 else None
    panel.plot(at, mean, color=colour, linewidth=1.5, marker=marker, label=label)
