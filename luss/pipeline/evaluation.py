"""Evaluate by the name of a protocol, as ``tools/test.py --protocol`` does."""

from collections.abc import Sequence
from typing import Any

from mmengine import Config
from mmengine.registry import init_default_scope

from luss.build_errors import clear_build_errors, require_known
from luss.errors import LussError
from luss.evaluation.results import Results
from luss.pipeline.context import Context
from luss.pipeline.stage import Stage, build_stage, resolved_stage
from luss.ranks import main_process_decides
from luss.registry import STAGES

__all__ = ["build_protocol", "evaluate", "known_protocols", "protocols_of"]


def known_protocols() -> dict[str, type]:
    """Name of each protocol that a registered stage has -> the stage's class."""
    STAGES.import_from_location()
    found: dict[str, type] = {}
    for kind in STAGES.module_dict.values():
        if name := getattr(kind, "protocol", None):
            found.setdefault(name, kind)
    return found


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
    # A protocol stage is defined above this package.
    built: Any = resolved_stage(build_protocol(context.config, protocol), context)
    stage = built.for_checkpoint(context.work_dir, checkpoint)
    if hooks:
        stage.custom_hooks = [*getattr(stage, "custom_hooks", ()), *hooks]
    if not context.splits_with_masks:
        raise LussError(
            f"no split of {context.data['data_root']} has masks, so there is nothing to compare "
            "predictions with; for an ImageNet-S split root, expected validation-segmentation or "
            "test-segmentation"
        )
    missing = [name for name in stage.requires if not context.work_dir.is_done(name)]
    if missing := main_process_decides(missing):
        raise LussError(
            f"{protocol} evaluates what {', '.join(map(repr, missing))} trains, which is not "
            f"finished in {context.work_dir.root}; train first, or give a checkpoint"
        )
    with clear_build_errors(f"stages.{stage.name}"):
        stage.check(context)
    return stage.evaluate(context)


def protocols_of(config: Config) -> dict[str, tuple[str, dict[str, Any]]]:
    """By which protocols a config can be evaluated -> name and settings of the stage that does.

    Those of its stages come first, then those that need no entry of their own
    (``without_entry_after`` of the stage's class). These show the model photos as the first of the
    config's own protocols does: a size that suits the features suits them for all.

    Raises:
        LussError: if a stage is of an unknown type.
    """
    stages = config["stages"]
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, settings in stages.items():
        if protocol := _protocol_of(settings, f"stages.{name}"):
            found.setdefault(protocol, (name, settings))
    pipelines = [entry["pipeline"] for _, entry in found.values() if entry.get("pipeline")]
    shared = {"pipeline": pipelines[0]} if pipelines else {}
    for protocol, kind in known_protocols().items():
        if getattr(kind, "without_entry_after", None) in stages:
            found.setdefault(protocol, (protocol, {"type": kind, **shared}))
    return found


def build_protocol(config: Config, protocol: str) -> Stage:
    """Build the config's stage of a protocol.

    Args:
        config: of the run.
        protocol: one of :func:`protocols_of`.

    Raises:
        LussError: if the protocol is unknown, or the config has no stage for it.
    """
    known, found = known_protocols(), protocols_of(config)
    if protocol not in found:
        if protocol not in known:
            names = dict.fromkeys([*known, *found])
            raise LussError(f"unknown protocol {protocol!r}; known are: {', '.join(names)}")
        kind = known[protocol]
        example = getattr(kind, "example_configs", "")
        raise LussError(
            f"this config has no stage for the protocol {protocol!r}; add one of the type "
            f"{kind.__name__!r}"
            + (f", or take a config that has it ({example})" if example else "")
        )
    name, settings = found[protocol]
    return build_stage(name, settings)


def _protocol_of(settings: dict[str, Any], where: str) -> str | None:
    require_known(settings, STAGES, where)
    kind = settings["type"]
    kind = STAGES.get(kind) if isinstance(kind, str) else kind
    return settings.get("protocol") or getattr(kind, "protocol", None)
