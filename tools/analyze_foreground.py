"""Compare the foreground, embeddings and masks of a run with the ground truth.

Prints tables and writes WORK_DIR/foreground_analysis: how well each foreground source separates
objects from 'other', and the ladder, which is the mIoU with true masks or true categories. This is
only a diagnosis; no stage reads it.
"""

import argparse
import sys
from pathlib import Path

from luss.command_line import add_config_arguments, chosen_work_dir, exit_cleanly

# The project stands beside this folder, in a checkout and in the wheel.
sys.path.append(str(Path(__file__).resolve().parents[1] / "projects"))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument("--split", default="validation", help="with true masks")
    parser.add_argument(
        "--sources",
        nargs="+",
        metavar="NAME",
        help="of foreground, beside the run's own: registered ones such as BoundaryPrior, or "
        "combinations such as boundary-centre (default: all)",
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from foreground_analysis.analysis import analyze_foreground
    from foreground_analysis.page import tables
    from luss.configuration import read_config
    from luss.pipeline import Pipeline

    config = read_config(args.config, args.cfg_options)
    pipeline = Pipeline(config, chosen_work_dir(args, config))
    found = analyze_foreground(pipeline, args.split, args.sources)
    for topic, (first, columns, rows) in tables(found).items():
        print_table(topic, first, columns, rows)


def print_table(topic: str, first: str, columns, rows) -> None:
    from prettytable import PrettyTable

    table = PrettyTable([first, *columns], title=topic, align="r")
    table.align[first] = "l"
    for name, values in rows.items():
        table.add_row([name, *("-" if value is None else f"{value:.3f}" for value in values)])
    print(table)


if __name__ == "__main__":
    with exit_cleanly():
        main()
