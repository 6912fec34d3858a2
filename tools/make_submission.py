"""Write the zip that ImageNet-S's online server takes, or check one."""

import argparse

from luss.command_line import exit_cleanly


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="To write: --pred, --out, --num-classes and the method's lines. To check: --check.",
    )
    parser.add_argument("--pred", help="folder of predictions <wnid>/<image>.png or .npy")
    parser.add_argument("--out", metavar="FILE.zip", help="the zip to write")
    parser.add_argument("--force", action="store_true", help="replace --out where it exists")
    parser.add_argument("--check", metavar="FILE.zip", help="the zip to check instead of writing")
    parser.add_argument("--num-classes", type=int, metavar="C", help="50, 300 or 919")
    parser.add_argument("--match", metavar="FILE", help="match.json to put in: ids are generated")
    parser.add_argument(
        "--images", help="the split's photos (.../test), to check completeness and sizes"
    )
    parser.add_argument("--method-name")
    parser.add_argument("--training-data")
    parser.add_argument("--training-scheme", help="SSL, Sup or SSL+Sup")
    parser.add_argument("--networks")
    parser.add_argument("--link", default="", help="of a paper or project")
    parser.add_argument("--description", default="", help="of the method, in one line")
    args = parser.parse_args()
    needed = {
        "--pred": args.pred,
        "--out": args.out,
        "--num-classes": args.num_classes,
        "--method-name": args.method_name,
        "--training-data": args.training_data,
        "--training-scheme": args.training_scheme,
        "--networks": args.networks,
    }
    missing = [option for option, value in needed.items() if value is None]
    if args.check is None and missing:
        parser.error(f"to write a submission, give {', '.join(missing)}; to check one, --check")
    if args.check is not None and (args.pred is not None or args.out is not None):
        parser.error("--check goes without --pred and --out")
    return args


def main() -> None:
    args = parse_args()
    from luss.evaluation.submission import Method, check_submission, write_submission
    from luss.files import output_file

    if args.check is not None:
        number = check_submission(args.check, args.num_classes, args.images)
        print(f"{args.check} is a submission of {number} predictions")
        if args.images is None:
            print("completeness and sizes were not checked: give --images")
        return
    out = output_file(args.out, "--out", args.force)
    method = Method(
        args.method_name,
        args.training_data,
        args.training_scheme,
        args.networks,
        args.link,
        args.description,
    )
    number = write_submission(out, args.pred, method, args.num_classes, args.match, args.images)
    print(f"wrote {number} predictions to {out}")


if __name__ == "__main__":
    with exit_cleanly():
        main()
