"""Plot losses, learning rates and other scalars of one or more runs: one PNG per stage."""

import argparse
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from luss.command_line import exit_cleanly
from luss.errors import LussError
from luss.files import atomic_write, create_output_folder, output_folder
from luss.visualization.charts import summarise
from luss.visualization.scalars import Series, read_scalars, shown_names

__all__ = ["main", "plot_logs", "trained_stages"]

_POINTS = 300
_COLUMNS = 3
_PANEL = (4.2, 2.7)
"""Inches."""

Runs = Mapping[str, Mapping[str, Series]]
"""Name of each run -> its scalars."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the plots; see ``--help`` for the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="WORK_DIR", help="work dir of a run")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of <stage>.png")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="default: the folders' names")
    parser.add_argument(
        "--stage", action="append", metavar="NAME", help="plot this stage; may be repeated"
    )
    parser.add_argument(
        "--keys",
        nargs="+",
        metavar="KEY",
        help="scalars to plot, such as loss lr; loss includes loss_p2p (default: all)",
    )
    args = parser.parse_args(arguments)
    out = output_folder(args.out, "--out")
    runs = [Path(run) for run in args.runs]
    names = args.names or [run.resolve().name for run in runs]
    if len(names) != len(runs) or len(set(names)) < len(names):
        raise LussError(
            f"the names of the {len(runs)} runs are {', '.join(names)}, expected {len(runs)} "
            "different names; set them with --names"
        )
    of_name = dict(zip(names, runs, strict=True))
    for path in plot_logs(of_name, out, args.stage, args.keys):
        print(f"written to {path}")


def plot_logs(
    runs: Mapping[str, Path],
    folder: Path,
    stages: Collection[str] | None = None,
    names: Collection[str] | None = None,
) -> list[Path]:
    """Draw ``<stage>.png`` with a panel per scalar and a line per run.

    More than 300 values are drawn as means of neighbours, with a band from the smallest to the
    largest of them.

    Args:
        runs: name -> work dir.
        folder: of the plots; created if missing.
        stages: names of stages; by default all stages with scalars.
        names: of scalars, such as ``loss`` and ``lr``; a name includes those that begin with it
            (``loss`` includes ``loss_p2p``); by default all scalars.

    Returns:
        The files, in the order of training.

    Raises:
        LussError: if a work dir is missing, or no run has scalars of a stage or name.
    """
    for name, work_dir in runs.items():
        if not work_dir.is_dir():
            raise LussError(f"{work_dir} is not a folder. Give work dirs of runs")
        if not trained_stages(work_dir):
            raise LussError(
                f"{work_dir} has no <stage>/<timestamp>/vis_data/scalars.json to plot for {name}. "
                "Training stages write it if the config's visualizer has a LocalVisBackend"
            )
    known = list(dict.fromkeys(s for path in runs.values() for s in trained_stages(path)))
    for stage in stages or ():
        if stage not in known:
            raise LussError(f"no run has scalars of a stage {stage!r}; of: {', '.join(known)}")
    create_output_folder(folder)
    paths: list[Path] = []
    seen: set[str] = set()
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
            f"no scalar is named {' or '.join(names or ())}. Expected some of: "
            f"{', '.join(sorted(seen))}"
        )
    return paths


def trained_stages(work_dir: Path) -> list[str]:
    """Return the names of stages with scalars, in the order of their first start."""
    begun: dict[str, tuple] = {}
    for path in work_dir.glob("*/*/vis_data/scalars.json"):
        # Timestamps have seconds; a tiny stage may take less than one.
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
        handles: dict[Any, Any] = {}
        for panel in panels:
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside lower center",
            ncols=min(4, len(runs)),
        )
    return figure


def _draw(panel, series: Series, colour: str, label: str) -> None:
    steps, values = np.array(list(series)), np.array(list(series.values()))
    at, mean, low, high = summarise(steps, values, _POINTS)
    if len(at) < len(steps):
        panel.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
    marker = "o" if len(at) == 1 else None
    panel.plot(at, mean, color=colour, linewidth=1.5, marker=marker, label=label)


if __name__ == "__main__":
    with exit_cleanly():
        main()
