"""``luss train PHOTOS``: train on a folder of photos, with settings chosen for it."""

import argparse

from luss.command_line import add_backbone, add_options, leave_on_signals
from luss.planning.foregrounds import FOREGROUNDS

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Find categories in a folder of photos, without labels, and segment all of them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the photos, the number of categories, the time and other settings."""
    parser.add_argument("photos", metavar="PHOTOS", help="a folder of photos, flat or nested")
    parser.add_argument(
        "--categories",
        type=int,
        metavar="C",
        help="number of categories to find (default: the number of class folders, if any)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=60.0,
        metavar="M",
        help="time limit of the complete run; it may end earlier (default: 60)",
    )
    parser.add_argument(
        "--work-dir", metavar="DIR", help="output folder (default: work_dirs/PHOTOS)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--foreground",
        choices=tuple(FOREGROUNDS),
        help="how to separate objects from 'other' (default: prior, which needs scikit-image, or "
        "boundary-centre without it); see docs/photos.md",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="WORK_DIR",
        help="reuse the pretraining of this run, to change categories, foreground or threshold",
    )
    add_backbone(parser)
    parser.add_argument("--resume", action="store_true", help="resume a run that was stopped")
    add_options(
        parser,
        "override settings of the config, such as stages.label_generation.test_cfg.threshold=0.4",
    )


def run(args: argparse.Namespace) -> None:
    """Check the photos, time a dry run, plan, train, and print the result."""
    from luss.planning.photo_run import PhotoRun

    leave_on_signals()
    found = PhotoRun(
        photos=args.photos,
        work_dir=args.work_dir,
        categories=args.categories,
        minutes=args.minutes,
        seed=args.seed,
        foreground=args.foreground,
        start=args.start,
        backbone=args.backbone,
        weights=args.weights,
        finetune=args.finetune,
        tune=args.tune,
        options=args.cfg_options or {},
    )
    print("\n" + found.run(args.resume))
