"""Begin a project of your own: a copy of the template with a loss, configs and tests."""

import argparse
from pathlib import Path

from luss.command_line import exit_cleanly


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of the project, in small letters, such as my_method")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="where its folder is made (default: projects/ in a checkout of luss, else here)",
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from luss.new_project import new_project

    in_checkout = Path("projects", "README.md").is_file() and Path("luss").is_dir()
    folder = new_project(args.name, args.out or ("projects" if in_checkout else "."))
    print(f"made {folder}; {folder / 'README.md'} says how to go on")


if __name__ == "__main__":
    with exit_cleanly():
        main()
