"""Run the stages of a config, from photos to masks."""

import argparse
import sys

from luss.command_line import add_run_arguments, chosen_work_dir, exit_cleanly, leave_on_signals


def parse_args() -> argparse.Namespace:
    from luss.training_switches import add_switches

    parser = argparse.ArgumentParser(description=__doc__)
    add_run_arguments(parser)
    parser.add_argument("--stage", help="run only this stage")
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        metavar="CHECKPOINT",
        help="resume the run; or resume from this iter_<N>.pth, in the stage of its folder or in "
        "--stage",
    )
    add_switches(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmengine.dist import is_main_process

    from luss.configuration import read_config
    from luss.pipeline import Pipeline
    from luss.planning.next_steps import next_steps
    from luss.training_switches import apply_switches

    config = read_config(args.config, args.cfg_options)
    apply_switches(config, args)
    work_dir = chosen_work_dir(args, config)
    pipeline = Pipeline(config, work_dir, args.launcher)
    pipeline.run(args.stage, args.resume)
    # What can be gone on from: step 1 of an ablation has neither masks nor a report.
    whole = all(map(pipeline.work_dir.is_done, ("finetune", "evaluate", "report")))
    if is_main_process() and not args.stage and whole:
        print(next_steps(pipeline.work_dir.root), flush=True)


if __name__ == "__main__":
    with exit_cleanly():
        leave_on_signals()
        main()
    sys.exit(0)
