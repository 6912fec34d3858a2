"""Evaluate by the name of a protocol, as ``tools/test.py --protocol`` does."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.registry import init_default_scope

from luss.build_errors import clear_build_errors
from luss.errors import LussError
from luss.evaluation.results import Results
from luss.pipeline.context import Context
from luss.pipeline.resolving import resolved_stage, stages_of
from luss.pipeline.stage import Stage, build_stage
from luss.ranks import main_process_decides
from luss.registry import PROTOCOLS

__all__ = ["evaluate", "known_protocols", "protocols_of"]


def known_protocols() -> dict[str, Any]:
    """Name of each registered protocol -> its class."""
    PROTOCOLS.import_from_location()
    return {kind.name: kind for kind in PROTOCOLS.module_dict.values() if kind.name}


def evaluate(
    context: Context,
    protocol: str = "fully_unsupervised",
    checkpoint: str | None = None,
    hooks: Sequence[dict] = (),
) -> Results:
    """Evaluate by a protocol, and write ``results.json`` into the work dir.

    Args:
        context: of the run; the stages that trained must be finished, unless a checkpoint is given.
        protocol: of a stage of the config, or one of :func:`known_protocols`.
        checkpoint: evaluate this file instead of the work dir's newest checkpoint.
        hooks: configs of hooks of the test, beside those of the stage.

    Returns:
        Split -> metric -> percent.

    Raises:
        LussError: if the protocol is unknown or not in the config, no split has masks, or
            something that it needs is missing.
    """
    init_default_scope("luss")
    # Stages with a protocol are defined above this package.
    built: Any = resolved_stage(_stage_of(context, protocol), context)
    stage = built.for_checkpoint(context.work_dir, checkpoint)
    if hooks:
        stage.custom_hooks = [*stage.custom_hooks, *hooks]
    if not context.splits_with_masks:
        raise LussError(
            f"no split of {context.data['data_root']} has masks, so there is nothing to compare "
            "predictions with; for an ImageNet-S split root, expected validation-segmentation or "
            "test-segmentation"
        )
    sources = {stage.source_of("checkpoint"), stage.source_of("weights")} - {None}
    missing = [name for name in sorted(sources) if not context.work_dir.is_done(name)]
    if missing := main_process_decides(missing):
        raise LussError(
            f"{protocol} evaluates what {', '.join(map(repr, missing))} trains, which is not "
            f"finished in {context.work_dir.root}; train first, or give a checkpoint"
        )
    with clear_build_errors(f"stages.{stage.name}"):
        stage.check(context)
    return stage.evaluate(context)


def protocols_of(context: Context) -> dict[str, Any]:
    """By which protocols a config can be evaluated -> the stage that does.

    Those of its stages come first, then those that need no entry of their own
    (``entry_after`` of the protocol). These show the model photos as the first of the config's own
    protocols does: a size that suits the features suits them for all.
    """
    found: dict[str, Any] = {}
    for stage in stages_of(context).values():
        if protocol := getattr(stage, "protocol", None):
            found.setdefault(protocol.name, stage)
    shared = next((_pipeline(stage) for stage in found.values()), [])
    for name, kind in known_protocols().items():
        entry = kind.entry_after(context.config["stages"], shared) if shared else None
        if entry is not None and name not in found:
            found[name] = build_stage(name, entry)
    return found


def _stage_of(context: Context, protocol: str) -> Stage:
    """Return the config's stage of a protocol.

    Raises:
        LussError: if the protocol is unknown, or the config has no stage for it.
    """
    known, found = known_protocols(), protocols_of(context)
    if protocol in found:
        return found[protocol]
    if protocol not in known:
        names = dict.fromkeys([*known, *found])
        raise LussError(f"unknown protocol {protocol!r}; known are: {', '.join(names)}")
    example = known[protocol].example_configs
    raise LussError(
        f"this config has no stage with the protocol {protocol!r}; add one, or take a config that "
        f"has it ({example})"
    )


def _pipeline(stage: Any) -> list[dict]:
    """Return the pipeline of a stage's photos, as its config states it."""
    dataset: Mapping[str, Any] = stage.config["test_dataloader"].get("dataset", {})
    return list(dataset.get("pipeline", ()))
