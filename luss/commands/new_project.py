"""``luss new-project NAME``: create a project from the template."""

import argparse
from pathlib import Path

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Create your own project: a copy of the template with a loss, configs and tests."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the project's name and folder."""
    parser.add_argument("name", help="of the project, in lower case, such as my_method")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="parent folder (default: projects/ in a checkout of luss, else the current folder)",
    )


def run(args: argparse.Namespace) -> None:
    """Copy the template."""
    from luss.files import output_folder
    from luss.new_project import new_project

    in_checkout = Path("projects", "README.md").is_file() and Path("luss").is_dir()
    out = output_folder(args.out or ("projects" if in_checkout else "."), "--out")
    folder = new_project(args.name, out)
    print(f"created {folder}; read {folder / 'README.md'} next")
