"""Run the stages of a config, from photos to masks."""

import argparse
import sys
from pathlib import Path

from luss.command_line import add_run_arguments, exit_cleanly, leave_on_signals


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_run_arguments(parser)
    parser.add_argument("--stage", help="run this stage alone")
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        metavar="CHECKPOINT",
        help="go on where the run was killed or stopped; or from this iter_<N>.pth, in the stage "
        "in whose folder it lies, or in that of --stage",
    )
    parser.add_argument(
        "--amp", action="store_true", help="train in mixed precision, in all stages that train"
    )
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale learning rates to the batch over all processes, see auto_scale_lr in configs",
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from luss.configuration import read_config
    from luss.pipeline import Pipeline
    from luss.training_switches import scale_learning_rates, use_mixed_precision

    config = read_config(args.config, args.cfg_options)
    if args.amp:
        use_mixed_precision(config)
    if args.auto_scale_lr:
        scale_learning_rates(config)
    work_dir = args.work_dir or config.get("work_dir") or f"work_dirs/{Path(args.config).stem}"
    Pipeline(config, work_dir, args.launcher).run(args.stage, args.resume)


if __name__ == "__main__":
    with exit_cleanly():
        leave_on_signals()
        main()
    sys.exit(0)
