"""``luss plot-logs``: plots of losses and learning rates of one or more runs."""

import argparse
from pathlib import Path

from luss.errors import LussError

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = (
    "Plot losses, learning rates and other scalars of one or more runs: one PNG per stage."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the runs, the scalars to plot, and the output folder."""
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


def run(args: argparse.Namespace) -> None:
    """Draw the plots."""
    from luss.files import output_folder
    from luss.visualization.log_plots import plot_logs

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
