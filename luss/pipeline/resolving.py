"""The stages of a config, and the values of what their settings refer to."""

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

from luss.errors import LussError
from luss.pipeline.context import Context
from luss.pipeline.rules import with_rules
from luss.pipeline.stage import Stage, build_stage
from luss.references import (
    CONFIG,
    FACTS,
    MODEL,
    Reference,
    part_of,
    require_known_references,
    resolve,
)

__all__ = ["resolved_config", "resolved_stage", "stages_of"]

_Kind = TypeVar("_Kind", bound=Stage)


def stages_of(context: Context) -> dict[str, Stage]:
    """Return the stages of a run's config by name, as it states them; built once.

    Raises:
        LussError: if a type or setting is unknown, or what a setting refers to, or a stage reads
            one that runs after it.
    """
    if not context.stages:
        settings = context.config["stages"]
        stages = {name: build_stage(name, stage) for name, stage in settings.items()}
        for name in (FACTS, CONFIG):
            if name in stages:
                raise LussError(f"a stage is named {name!r}, which references reserve; rename it")
        for place, stage in enumerate(stages.values()):
            if stage.reads_all_before:
                stage.before = tuple(stages)[:place]
        _check_references(stages)
        context.stages = stages
    return context.stages


def _check_references(stages: Mapping[str, Stage]) -> None:
    """Check that all that stages refer to exists, and is made before."""
    outputs = {
        name: (*stage.roles, *stage.noted, *((MODEL,) if stage.config.get(MODEL) else ()))
        for name, stage in stages.items()
    }
    before: list[str] = []
    for name, stage in stages.items():
        require_known_references(stage.references, outputs, Context.facts)
        for source in stage.requires:
            if source not in before:
                raise LussError(
                    f"stages.{name} reads the output of {source!r}, which runs after it; set "
                    f"stages.{name}.after={source!r}, or move it in the config"
                )
        before.append(name)


def resolved_stage(stage: _Kind, context: Context) -> _Kind:
    """Build a stage again, with the values of what its settings refer to.

    Args:
        stage: of the config. Outputs that do not exist yet have the paths where they will be.
        context: of the run.
    """
    settings = resolved_config(stage.config, context, f"stages.{stage.name}")
    resolved = build_stage(stage.name, settings)
    assert isinstance(resolved, type(stage)), "both were built from the same type"
    resolved.config, resolved.references = stage.config, stage.references
    resolved.before = stage.before
    return resolved


def resolved_config(config: Any, context: Context, where: str) -> Any:
    """Return a nested config with the values of all references and rules.

    An output of a stage that has not run yet has the path where it will be.

    Args:
        config: of anything, however nested.
        context: of the run.
        where: its place, for messages.
    """
    return with_rules(resolve(config, partial(_value_of, context), where), context)


def _value_of(context: Context, reference: Reference) -> Any:
    name, output, where = reference
    if name == FACTS:
        known = context.given_facts
        return known[output] if output in known else getattr(context, output)
    stage, work_dir = stages_of(context)[name], context.work_dir
    if reference.first == MODEL:
        model = resolved_config(stage.config[MODEL], context, f"stages.{name}.{MODEL}")
        return part_of(model, reference)
    is_done = work_dir.is_done(name)
    if output in stage.noted:
        return work_dir.facts(name).get(output) if is_done else None
    if not is_done:
        return str(work_dir.stage(name) / stage.roles[output])
    found = work_dir.outputs(name)
    if output not in found:
        folder = work_dir.stage(name)
        raise LussError(
            f"{where} refers to {reference}, but the finished stage {name!r} has no such output in "
            f"{folder}; its outputs are: {', '.join(found) or 'none'}. If the file was deleted, "
            f"restore it, or delete {folder} to recompute it"
        )
    return str(found[output])
