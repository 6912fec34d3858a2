"""Shared by commands that inspect the stages of a config without running them."""

import argparse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from luss.command_line import add_config_arguments, chosen_work_dir
from luss.errors import LussError

if TYPE_CHECKING:
    from mmengine import Config

    from luss.pipeline import Context, Pipeline

__all__ = ["add_stage_arguments", "chosen_stages", "dry_pipeline"]


StageT = TypeVar("StageT")


def add_stage_arguments(parser: argparse.ArgumentParser, of: str) -> None:
    """Add config, work dir, options, and ``--stage``.

    Args:
        parser: of the command.
        of: what the command does, for the help, such as 'count the model'.
    """
    add_config_arguments(parser)
    parser.add_argument(
        "--stage", action="append", metavar="NAME", help=f"{of} of this stage; may be repeated"
    )


def dry_pipeline(
    args: argparse.Namespace,
    change: Callable[["Config", argparse.Namespace], None] | None = None,
) -> tuple["Pipeline", "Context"]:
    """Build the stages of a config without running them.

    Nothing is written to the work dir but demo data, if a stage reads them.

    Args:
        args: of :func:`add_stage_arguments`.
        change: changes the config before the stages are built.

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
    pipeline: "Pipeline", names: Iterable[str] | None, kind: type[StageT], what: str
) -> list[StageT]:
    """Return the chosen stages; by default all of a kind.

    Args:
        pipeline: of the config.
        names: of stages.
        kind: class of the stages.
        what: such stages have, for the message, such as 'a runner'.

    Raises:
        LussError: if a name is unknown, or its stage is of another kind.
    """
    suitable = {name: stage for name, stage in pipeline.stages.items() if isinstance(stage, kind)}
    for name in names or ():
        if name not in suitable:
            why = f"does not have {what}" if name in pipeline.stages else "is not in this config"
            raise LussError(
                f"--stage {name}: the stage {name!r} {why}; stages with {what}: "
                f"{', '.join(suitable)}"
            )
    return [suitable[name] for name in (names or suitable)]
