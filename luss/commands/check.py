"""``luss check PHOTOS``: whether the photos can be trained on, before anything is trained."""

import argparse

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Look through a folder of photos: what is in it, what is wrong, what train would do."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the photos, and how they are read."""
    # Loads MMEngine.
    from luss.configuration import ConfigOptions

    parser.add_argument("photos", metavar="PHOTOS", help="a folder of photos, flat or nested")
    parser.add_argument(
        "--categories", type=int, metavar="C", help="how many are to be found, as for train"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=ConfigOptions,
        metavar="KEY=VALUE",
        help="settings of the data, as for train, such as data.type=PhotoFolder",
    )


def run(args: argparse.Namespace) -> None:
    """Print what was found; exit with 1 if something is wrong with the photos or masks.

    What can be read but may be wrong is a warning, and does not count.
    """
    from mmengine.logging import print_log

    from luss.errors import LussError
    from luss.planning.inspection import inspect_photos
    from luss.planning.survey import data_settings

    options = args.cfg_options or {}
    if others := [key for key in options if not key.startswith("data.")]:
        raise LussError(
            f"{others[0]} has no effect on check, which reads photos and masks; give data.KEY=VALUE"
        )
    found = inspect_photos(args.photos, args.categories, data_settings(options))
    for line in found.said:
        print_log(line, "current")
    for doubt in found.doubts:
        print_log(doubt, "current", level=30)
    for problem in found.problems:
        print_log(problem, "current", level=30)
    if found.problems:
        raise SystemExit(1)
