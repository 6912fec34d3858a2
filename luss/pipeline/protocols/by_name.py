"""Evaluate by the name of a protocol, as ``tools/test.py --protocol`` does."""

from mmengine import Config
from mmengine.registry import init_default_scope

from luss.build_errors import clear_build_errors, require_known
from luss.errors import LussError
from luss.evaluation.results import Results
from luss.pipeline.context import Context
from luss.pipeline.protocols.distance_matching import DistanceMatchingStage
from luss.pipeline.protocols.fully_unsupervised import EvaluateStage
from luss.pipeline.protocols.protocol_stage import ProtocolStage
from luss.pipeline.protocols.semi_supervised import SemiSupervisedStage
from luss.pipeline.work_dir import main_process_decides
from luss.registry import STAGES

__all__ = ["PROTOCOLS", "evaluate", "protocol_stage"]

PROTOCOLS = {
    stage.protocol: stage for stage in (EvaluateStage, DistanceMatchingStage, SemiSupervisedStage)
}
"""Those that come with luss; any other is a ``ProtocolStage`` in the config's stages."""

_CONFIGS = {
    "fully_unsupervised": "configs/pass/",
    "distance_matching": "configs/distance_matching/",
    "semi_supervised": "configs/semi_supervised/",
}


def evaluate(
    context: Context, protocol: str = "fully_unsupervised", checkpoint: str | None = None
) -> Results:
    """Evaluate by a protocol, and write ``results.json`` into the work dir.

    Args:
        context: of the run; the stages that trained must be whole, unless a checkpoint is given.
        protocol: of a stage of the config, or one of ``PROTOCOLS``.
        checkpoint: evaluate this file instead of the work dir's newest checkpoint.

    Returns:
        Split -> metric -> percent.

    Raises:
        LussError: if the protocol is unknown or not in the config, no split has masks, or
            something that it needs is missing.
    """
    init_default_scope("luss")
    stage = protocol_stage(context.config, protocol).again(context.work_dir, checkpoint)
    if not context.splits_with_masks:
        raise LussError(
            f"no split of {context.data['data_root']} has masks, so there is nothing to compare "
            "predictions with; expected validation-segmentation or test-segmentation"
        )
    missing = [name for name in stage.requires if not context.work_dir.is_done(name)]
    if missing := main_process_decides(missing):
        raise LussError(
            f"{protocol} evaluates what {', '.join(map(repr, missing))} trains, which is not "
            f"whole in {context.work_dir.root}; train first, or give a checkpoint"
        )
    with clear_build_errors(f"stages.{stage.name}"):
        stage.check(context)
    return stage.evaluate(context)


def protocol_stage(config: Config, protocol: str) -> ProtocolStage:
    """Build the config's stage of a protocol.

    Distance matching needs no entry of its own where there is a stage ``pretrain``.

    Args:
        config: of the run.
        protocol: of a stage of the config, or one of ``PROTOCOLS``.

    Raises:
        LussError: if the protocol is unknown, or the config has no stage for it.
    """
    stages = config["stages"]
    found: dict[str | None, str] = {}
    for name, settings in stages.items():
        require_known(settings, STAGES, f"stages.{name}")
        kind = settings["type"]
        kind = STAGES.get(kind) if isinstance(kind, str) else kind
        found.setdefault(getattr(kind, "protocol", None), name)
    if protocol in found:
        name = found[protocol]
        settings = stages[name]
    elif protocol not in PROTOCOLS:
        known = dict.fromkeys([*PROTOCOLS, *filter(None, found)])
        raise LussError(f"unknown protocol {protocol!r}; known are: {', '.join(known)}")
    else:
        if protocol != "distance_matching" or "pretrain" not in stages:
            kind = PROTOCOLS[protocol].__name__
            raise LussError(
                f"this config has no stage for the protocol {protocol!r}; add one of the type "
                f"{kind!r}, or take a config that has it ({_CONFIGS[protocol]})"
            )
        name, settings = protocol, {"type": "DistanceMatchingStage"}
    with clear_build_errors(f"stages.{name}"):
        return STAGES.build({**settings, "name": name})
