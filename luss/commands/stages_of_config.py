"""What the commands share that look at the stages of a config without running them."""

import argparse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from luss.command_line import add_config_arguments, chosen_work_dir
from luss.errors import LussError

if TYPE_CHECKING:
    from mmengine import Config

    from luss.pipeline import Context, Pipeline, Stage

__all__ = ["add_stage_arguments", "chosen_stages", "planned_pipeline"]


def add_stage_arguments(parser: argparse.ArgumentParser, of: str) -> None:
    """Add config, work dir, options, and ``--stage``.

    Args:
        parser: of the command.
        of: what is wanted of a stage, for the help, such as 'the models'.
    """
    add_config_arguments(parser)
    parser.add_argument(
        "--stage", action="append", metavar="NAME", help=f"{of} of this stage; may be repeated"
    )


def planned_pipeline(
    args: argparse.Namespace,
    change: Callable[["Config", argparse.Namespace], None] | None = None,
) -> tuple["Pipeline", "Context"]:
    """The stages of a config, built, in a work dir in which nothing is run.

    Only demo data are drawn into the work dir, where a stage asks for them.

    Args:
        args: of :func:`add_stage_arguments`.
        change: changes the config before stages are built.

    Raises:
        LussError: as :func:`luss.configuration.read_config` and :class:`luss.pipeline.Pipeline`.
    """
    from luss.configuration import read_config
    from luss.pipeline import Context, Pipeline

    config = read_config(args.config, args.cfg_options)
    if change is not None:
        change(config, args)
    work_dir = chosen_work_dir(args, config)
    pipeline = Pipeline(config, work_dir)
    return pipeline, Context(config, pipeline.work_dir, planned=True)


def chosen_stages(
    pipeline: "Pipeline", names: Iterable[str] | None, kind: type, what: str
) -> list["Stage"]:
    """The stages that were asked for; by default all of a kind.

    Args:
        pipeline: of the config.
        names: of stages.
        kind: that the stages must be of.
        what: they have, for the message, such as 'a runner'.

    Raises:
        LussError: if there is no stage of a name, or it is of another kind.
    """
    suitable = {name: stage for name, stage in pipeline.stages.items() if isinstance(stage, kind)}
    for name in names or ():
        if name not in suitable:
            why = "has none" if name in pipeline.stages else "is no stage of this config"
            raise LussError(
                f"--stage {name}: {name!r} {why}; stages with {what}: {', '.join(suitable)}"
            )
    return [suitable[name] for name in (names or suitable)]
