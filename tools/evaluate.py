"""Evaluate folders of predicted masks, of any framework, with all metrics of ImageNet-S."""

import argparse
import sys

from luss.command_line import exit_cleanly


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Masks are <class folder>/<image>.png in the official encoding (id = R + 256 G), "
        "single-channel PNG of ids, PNG with a palette (--encoding index), or .npy of ids, at the "
        "images' original size.",
    )
    parser.add_argument("--pred", required=True, help="folder of predictions")
    parser.add_argument("--gt", required=True, help="folder of true masks")
    parser.add_argument(
        "--num-classes", type=int, metavar="C", help="default: the number of class folders of --gt"
    )
    parser.add_argument(
        "--match",
        nargs="?",
        const="find",
        metavar="FILE",
        help="apply the match.json FILE to the predictions; without FILE, find the match on these "
        "images, by image level, and by pixel overlap beside it",
    )
    parser.add_argument(
        "--num-generated", type=int, metavar="G", help="categories to match, if not C"
    )
    parser.add_argument(
        "--unmatched",
        choices=["other", "best"],
        default="other",
        help="what becomes of more than C categories: 'other', or the true class that fits best",
    )
    parser.add_argument(
        "--encoding",
        choices=["rgb", "index"],
        default="rgb",
        help="of the PNG files of both folders: 'rgb' (id = R + 256 G, or one channel of ids; 1000 "
        "is ignored), or 'index' (indices of a palette, or one channel of ids; 255 is ignored)",
    )
    parser.add_argument("--without-other", action="store_true", help="also without class 0")
    parser.add_argument("--per-class", action="store_true", help="also the IoU of each class")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--out", required=True, metavar="FILE.json", help="where to write it all")
    parser.add_argument("--force", action="store_true", help="replace --out where it exists")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from luss.evaluation.evaluate_folders import evaluate_folders, format_result
    from luss.files import output_file, write_json

    out = output_file(args.out, "--out", args.force)
    result = evaluate_folders(
        args.pred,
        args.gt,
        args.num_classes,
        match=args.match,
        num_generated=args.num_generated,
        unmatched=args.unmatched,
        without_other=args.without_other,
        per_class=args.per_class,
        jobs=args.jobs,
        encoding=args.encoding,
        progress=show_progress if sys.stderr.isatty() else None,
    )
    write_json(out, result)
    print(format_result(result))
    for warning in result.get("warnings", ()):
        print(f"warning: {warning}", file=sys.stderr)


def show_progress(done: int, total: int) -> None:
    """Rewrite one line of the terminal."""
    print(f"\r{done} of {total} images", end="\n" if done == total else "", file=sys.stderr)


if __name__ == "__main__":
    with exit_cleanly():
        main()
