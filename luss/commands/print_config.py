"""``luss print-config``: print the configuration of a stage without running it."""

import argparse
import contextlib
import sys

from luss.commands.stages_of_config import add_stage_arguments, chosen_stages, dry_pipeline

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = (
    "Print the complete runner configuration of stages, as written to WORK_DIR/<stage>/config.py. "
    "Nothing is trained or listed; checkpoints that do not exist yet are named iter_<N>.pth, and "
    "lists of photos <photos>.jsonl.gz."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config, the stages, and the switches that change the config."""
    from luss.training_switches import add_switches

    add_stage_arguments(parser, "print the configuration")
    add_switches(parser)
    parser.add_argument(
        "--out", metavar="DIR", help="write <stage>.py into this folder instead of printing"
    )


def run(args: argparse.Namespace) -> None:
    """Print or write the configurations of the stages."""
    from luss.configuration import PlainConfig, write_config
    from luss.files import output_folder
    from luss.pipeline import RunnerStage
    from luss.pipeline.resolving import resolved_stage
    from luss.training_switches import apply_switches

    out = output_folder(args.out, "--out") if args.out else None

    # Keep log lines out of the printed configuration.
    with contextlib.redirect_stdout(sys.stderr):
        pipeline, context = dry_pipeline(args, apply_switches)
        stages = chosen_stages(pipeline, args.stage, RunnerStage, "a runner")
        resolved = (resolved_stage(stage, context) for stage in stages)
        configs = {stage.name: stage.runner_config(context) for stage in resolved}
    for name, config in configs.items():
        if out:
            path = out / f"{name}.py"
            write_config(path, config)
            print(f"written to {path}")
        else:
            heading = f"# stages.{name}\n" if len(configs) > 1 else ""
            print(heading + PlainConfig(config).pretty_text)
