"""Build the split roots of ImageNet-S from ImageNet-1k, the toolbox's lists and the masks."""

import argparse

from luss.command_line import exit_cleanly


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--imagenet", required=True, help="folder with train/<wnid> and val, flat or in folders"
    )
    parser.add_argument(
        "--lists", required=True, help="clone of the ImageNet-S toolbox, or its folder data"
    )
    parser.add_argument(
        "--annotations", nargs="*", default=[], metavar="ZIP", help="ImageNetS<C>-<md5>.zip"
    )
    parser.add_argument("--out", required=True, help="folder of the split roots ImageNetS<C>")
    parser.add_argument("--split", choices=["50", "300", "919", "all"], default="all")
    parser.add_argument("--copy", action="store_true", help="copy the photos instead of linking")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from luss.datasets.imagenet_s_preparation import prepare
    from luss.errors import LussError
    from luss.files import output_folder

    out = output_folder(args.out, "--out")
    splits = (50, 300, 919) if args.split == "all" else (int(args.split),)
    reports = prepare(args.imagenet, args.lists, args.annotations, out, splits, copy=args.copy)
    for report in reports:
        print(report)
    wanting = [str(report.root) for report in reports if not report.is_complete]
    if wanting:
        raise LussError(
            f"not complete: {', '.join(wanting)}; add what is missing (listed above) and run "
            "this again, it keeps what is there"
        )


if __name__ == "__main__":
    with exit_cleanly():
        main()
