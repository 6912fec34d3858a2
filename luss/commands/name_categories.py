"""``luss name-categories WORK_DIR``: look at discovered categories, and give them names."""

import argparse

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Show what each discovered category is, and begin names.json to fill in."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run and how much of it is shown."""
    parser.add_argument(
        "work_dir", metavar="WORK_DIR", help="of a run whose stage label_generation is whole"
    )
    parser.add_argument(
        "--typical",
        type=int,
        default=24,
        metavar="N",
        help="photos a category, nearest to its centroid (default: 24)",
    )
    parser.add_argument(
        "--spread",
        type=int,
        default=16,
        metavar="N",
        help="further photos a category, spread from near to far (default: 16)",
    )
    parser.add_argument(
        "--data-root", metavar="DIR", help="where the photos are now (default: as in the run)"
    )


def run(args: argparse.Namespace) -> None:
    """Write the sheets and the file, and say where they are."""
    from luss.apis.name_categories import name_categories

    done = name_categories(args.work_dir, args.typical, args.spread, args.data_root)
    print(f"look at {done.page}")
    if done.added:
        print(f"fill in {done.names_file} ({len(done.added)} categories were added)")
    else:
        print(f"{done.names_file} has all categories and was left as it is")
    print(
        f"then luss predict {args.work_dir} PHOTOS --out DIR takes the names; the command that "
        "trained, given again, puts them into the report"
    )
    for name, ids in done.twins.items():
        listed = ", ".join(map(str, ids))
        print(f'{listed} are all called {name!r}; to make them one, give them "merge_into"')
