"""Evaluate a trained run: inference, matching and the metrics of ImageNet-S.

Threshold and match come from the work dir and are not fitted again. For a checkpoint that does not
belong to it, the match is found on validation masks.
"""

import argparse
import sys

from luss.command_line import add_run_arguments, chosen_work_dir, exit_cleanly, leave_on_signals


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_run_arguments(parser)
    parser.add_argument(
        "checkpoint",
        nargs="?",
        help="a trained model (default: the last one of the work dir)",
    )
    parser.add_argument(
        "--protocol",
        default="fully_unsupervised",
        metavar="NAME",
        help="how to evaluate: fully_unsupervised (the default), distance_matching, "
        "semi_supervised, or the protocol of another stage of the config",
    )
    parser.add_argument(
        "--show-dir",
        metavar="DIR",
        help="draw photo, prediction and truth side by side to DIR/<split>/<image id>.png",
    )
    parser.add_argument(
        "--show-photos",
        type=int,
        metavar="N",
        help="draw so many photos of each split, evenly spaced (default: all)",
    )
    args = parser.parse_args()
    if args.show_photos is not None and not args.show_dir:
        parser.error("--show-photos needs --show-dir")
    return args


def main() -> None:
    args = parse_args()
    from luss.configuration import read_config
    from luss.files import output_folder
    from luss.pipeline import Pipeline

    show_dir = output_folder(args.show_dir, "--show-dir") if args.show_dir else None
    config = read_config(args.config, args.cfg_options)
    work_dir = chosen_work_dir(args, config)
    hooks = []
    if show_dir:
        hooks.append(
            {
                "type": "PredictionPicturesHook",
                "folder": str(show_dir),
                "max_photos": args.show_photos,
            }
        )
    Pipeline(config, work_dir, args.launcher).evaluate(args.protocol, args.checkpoint, hooks)


if __name__ == "__main__":
    with exit_cleanly():
        leave_on_signals("run the same command to evaluate again")
        main()
    sys.exit(0)
