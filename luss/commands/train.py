"""``luss train PHOTOS``: from a folder of photos to masks, with settings that fit them."""

import argparse

from luss.planning.foregrounds import FOREGROUNDS

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Find categories in a folder of photos, without labels, and segment all of them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the photos, what is to be found in them, and how long it may take."""
    # Loads MMEngine.
    from luss.configuration import ConfigOptions

    parser.add_argument("photos", metavar="PHOTOS", help="a folder of photos, flat or nested")
    parser.add_argument(
        "--categories",
        type=int,
        metavar="C",
        help="how many to find (default: the number of class folders, where there are any)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=60.0,
        metavar="M",
        help="how long the whole run may take; it ends earlier where more training does not help "
        "(default: 60)",
    )
    parser.add_argument(
        "--work-dir", metavar="DIR", help="where all is written (default: work_dirs/PHOTOS)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument(
        "--foreground",
        choices=tuple(FOREGROUNDS),
        help="what tells objects from 'other' (default: prior, which needs scikit-image; without "
        "it boundary-centre); see docs/photos.md",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="WORK_DIR",
        help="take the finished pretraining of this run, for other categories, another "
        "foreground or threshold",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on where this run was killed or stopped"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=ConfigOptions,
        metavar="KEY=VALUE",
        help="settings that override the config's, such as stages.label_generation.threshold=0.4",
    )


def run(args: argparse.Namespace) -> None:
    """Look at the photos, rehearse, plan, train, and say what came of it."""
    from luss.command_line import leave_on_signals
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
        options=args.cfg_options or {},
    )
    print("\n" + found.run(args.resume))
