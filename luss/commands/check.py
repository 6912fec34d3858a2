"""``luss check PHOTOS``: read all photos and masks of a folder, and report problems."""

import argparse

from luss.command_line import add_backbone, add_options

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Read all photos and masks of a folder; report problems and what train would do."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder and the settings for reading it."""
    parser.add_argument("photos", metavar="PHOTOS", help="a folder of photos, flat or nested")
    parser.add_argument(
        "--categories", type=int, metavar="C", help="number of categories to find, as for train"
    )
    add_backbone(parser)
    add_options(parser, "data settings, as for train, such as data.type=PhotoFolder")


def run(args: argparse.Namespace) -> None:
    """Print the result; exit with 1 if photos or masks have problems. Warnings do not count."""
    from mmengine.logging import print_log

    from luss.errors import LussError
    from luss.planning.inspection import inspect_photos
    from luss.planning.settings import choose_backbone
    from luss.planning.survey import data_settings

    options = args.cfg_options or {}
    if others := [key for key in options if not key.startswith("data.")]:
        raise LussError(
            f"--cfg-options {others[0]} has no effect on check, expected data.KEY=VALUE; remove it"
        )
    backbone = choose_backbone(args.backbone, args.weights, args.tune)
    found = inspect_photos(
        args.photos, args.categories, data_settings(options), backbone, args.finetune
    )
    for line in found.lines:
        print_log(line, "current")
    for line in (*found.warnings, *found.problems):
        print_log(line, "current", level=30)
    if found.problems:
        raise SystemExit(1)
