"""Compare the foreground, embeddings and masks of a run with the ground truth.

Prints tables and writes WORK_DIR/foreground_analysis: how well each foreground source separates
objects from 'other', and the ladder, which is the mIoU with true masks or true categories. This is
only a diagnosis; no stage reads it. An existing report is rebuilt with the results.
"""

import argparse

from luss.command_line import add_run_arguments, chosen_work_dir, exit_cleanly


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_run_arguments(parser)
    parser.add_argument("--split", help="with true masks (default: validation)")
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
    from mmengine.dist import is_main_process

    from luss.configuration import read_config
    from luss.pipeline import Pipeline
    from luss.stages import ReportStage, analyze_foreground

    config = read_config(args.config, args.cfg_options)
    work_dir = chosen_work_dir(args, config)
    pipeline = Pipeline(config, work_dir, args.launcher)
    with pipeline.opened() as context:
        found = analyze_foreground(context, args.split, args.sources)
        for stage in pipeline.stages.values():
            if isinstance(stage, ReportStage) and context.work_dir.is_done(stage.name):
                stage.run(context)
    if is_main_process():
        print_analysis(found)


def print_analysis(found: dict) -> None:
    """Print the tables."""
    from prettytable import PrettyTable

    from luss.evaluation.ladder import RUNGS

    def table(title, first, columns, rows):
        shown = PrettyTable([first, *columns])
        shown.title, shown.align, shown.align[first] = title, "r", "l"
        for name, values in rows.items():
            figures = (values.get(column) for column in columns)
            shown.add_row([name, *("-" if v is None else f"{v:.3f}" for v in figures)])
        print(shown)

    where = f"{found['split']}, {found['images']} photos; own source: {found['own_source']}"
    quality = [key for key in next(iter(found["sources"].values())) if key != "curves"]
    table(f"foreground: {where}", "source", quality, found["sources"])
    if "attention" in found:
        facts = {k: v for k, v in found["attention"].items() if k != "shown channels"}
        table("attention, within photos", "", list(facts), {"": facts})
    if found["embeddings"]:
        columns = ["accuracy", "NMI"]
        table("clusters of embeddings, %", "pooled over", columns, found["embeddings"])
    ladder = {
        title: {column: rungs[rung] for column, rungs in found["ladder"].items()}
        for rung, title in RUNGS.items()
    }
    table("ladder, mIoU %", "", list(found["ladder"]), ladder)


if __name__ == "__main__":
    with exit_cleanly():
        main()
