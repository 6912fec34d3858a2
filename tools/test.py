"""Evaluate a trained run: inference, matching and the metrics of ImageNet-S.

Threshold and match come from the work dir and are not fitted again. For a checkpoint that does not
belong to it, the match is found on validation masks.
"""

import argparse
import sys
from pathlib import Path

from luss.command_line import add_run_arguments, exit_cleanly, leave_on_signals


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
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from luss.configuration import read_config
    from luss.pipeline import Pipeline

    config = read_config(args.config, args.cfg_options)
    work_dir = args.work_dir or config.get("work_dir") or f"work_dirs/{Path(args.config).stem}"
    Pipeline(config, work_dir, args.launcher).evaluate(args.protocol, args.checkpoint)


if __name__ == "__main__":
    with exit_cleanly():
        leave_on_signals()
        main()
    sys.exit(0)
