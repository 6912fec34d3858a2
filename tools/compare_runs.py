"""Show the segmentations of several runs side by side, on one page.

Each run is a work dir, or the folder of one of its stages that wrote predictions. The photos are
those of the first run's data.
"""

import argparse
from pathlib import Path

from luss.command_line import exit_cleanly


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="work dir, or WORK_DIR/STAGE")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the page")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="default: the folders' names")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--max-photos", type=int, default=24, metavar="N")
    parser.add_argument(
        "--data-root", metavar="DIR", help="where the photos are now, if they moved"
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from luss.errors import LussError
    from luss.files import output_folder
    from luss.visualization.comparison import build_comparison

    out = output_folder(args.out, "--out")
    runs = [Path(run) for run in args.runs]
    names = args.names or [run.name for run in runs]
    if len(names) != len(runs) or len(set(names)) < len(names):
        raise LussError(
            f"the names of the {len(runs)} runs are {', '.join(names)}, expected {len(runs)} "
            "different names; set them with --names"
        )
    dataset = dataset_of(runs[0], args.split, args.data_root)
    paths = {name: stage_with_predictions(run) for name, run in zip(names, runs, strict=True)}
    page = build_comparison(out, paths, dataset, args.split, args.max_photos)
    print(f"written to {page}")


def stage_with_predictions(run: Path) -> Path:
    """Return the folder of the first stage of a work dir that has predictions."""
    from luss.pipeline.work_dir import WorkDir

    if (run / "predictions").is_dir():
        return run
    predictions = WorkDir(run).outputs().get("predictions")
    return predictions.parent if predictions else run


def dataset_of(run: Path, split: str, data_root: str | None):
    """Return a split of the data set of a run."""
    from luss.configuration import read_config
    from luss.pipeline.context import Context, move_data
    from luss.pipeline.work_dir import WorkDir

    work_dir = run.parent if (run / "predictions").is_dir() else run
    config = read_config(str(work_dir / "config.py"))
    if data_root:
        move_data(config, data_root)
    return Context(config, WorkDir(work_dir), planned=True).dataset(
        {"split": split, "pipeline": []}
    )


if __name__ == "__main__":
    with exit_cleanly():
        main()
