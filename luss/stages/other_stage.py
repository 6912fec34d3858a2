"""Another stage of the config, for a stage that reads its settings."""

from typing import TypeVar

from luss.errors import LussError
from luss.pipeline.context import Context
from luss.pipeline.stage import Stage, build_stage, resolved_stage

__all__ = ["other_stage"]

_Kind = TypeVar("_Kind", bound=Stage)


def other_stage(context: Context, name: str, kind: type[_Kind], where: str) -> _Kind:
    """Build another stage of the config.

    Args:
        context: of the run.
        name: of the other stage.
        kind: class that it must have.
        where: place of the setting that names it, for messages.

    Raises:
        LussError: if the config has no stage of this name and kind.
    """
    stages = context.config["stages"]
    if name not in stages:
        raise LussError(
            f"{where} is {name!r}, which is not a stage of the config; its stages are "
            f"{', '.join(stages)}"
        )
    stage = resolved_stage(build_stage(name, stages[name]), context)
    if not isinstance(stage, kind):
        raise LussError(
            f"{where} is {name!r}, which is a {type(stage).__name__}; expected a {kind.__name__}"
        )
    return stage
