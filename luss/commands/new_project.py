"""``luss new-project NAME``: a project of one's own from the template."""

import argparse
from pathlib import Path

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Begin a project of your own: a copy of the template with a loss, configs and tests."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the project's name and its place."""
    parser.add_argument("name", help="of the project, in small letters, such as my_method")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="where its folder is made (default: projects/ in a checkout of luss, else here)",
    )


def run(args: argparse.Namespace) -> None:
    """Copy the template."""
    from luss.files import output_folder
    from luss.new_project import new_project

    in_checkout = Path("projects", "README.md").is_file() and Path("luss").is_dir()
    out = output_folder(args.out or ("projects" if in_checkout else "."), "--out")
    folder = new_project(args.name, out)
    print(f"made {folder}; {folder / 'README.md'} says how to go on")
