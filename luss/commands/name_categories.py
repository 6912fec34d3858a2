"""``luss name-categories WORK_DIR``: view the discovered categories, and name them."""

import argparse

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Write a page with photos of each discovered category, and names.json to fill in."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run and how many photos to show."""
    parser.add_argument(
        "work_dir", metavar="WORK_DIR", help="of a run whose label generation is complete"
    )
    parser.add_argument(
        "--typical",
        type=int,
        default=24,
        metavar="N",
        help="photos per category, nearest to its centroid (default: 24)",
    )
    parser.add_argument(
        "--spread",
        type=int,
        default=16,
        metavar="N",
        help="more photos per category, evenly spaced from near to far (default: 16)",
    )
    parser.add_argument(
        "--data-root", metavar="DIR", help="folder of the photos, if they have moved"
    )


def run(args: argparse.Namespace) -> None:
    """Write the sheets and the file, and print their paths."""
    from luss.apis.name_categories import name_categories

    done = name_categories(args.work_dir, args.typical, args.spread, args.data_root)
    print(f"open {done.page}")
    if done.added:
        print(f"fill in {done.names_file} ({len(done.added)} categories were added)")
    else:
        print(f"{done.names_file} has all categories; it was not changed")
    print(
        f"then run luss predict {args.work_dir} PHOTOS --out DIR to predict with these names, or "
        "run the training command again to show them in the report"
    )
    for name, ids in done.twins.items():
        listed = ", ".join(map(str, ids))
        print(f'categories {listed} have the same name {name!r}; to merge them, set "merge_into"')
