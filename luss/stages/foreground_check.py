"""Checks of a source of foreground before anything runs."""

from torch import nn

from luss.errors import LussError
from luss.label_generation.foreground import ForegroundSource
from luss.pipeline.context import Context
from luss.registry import CHECKS, FOREGROUND_SOURCES
from luss.stages.stand_ins import require_maps, with_stand_ins
from luss.stages.test import Test

__all__ = ["check_foreground", "check_source"]


@CHECKS.register_module(name="ForegroundLoop")
def check_foreground(stage: Test, context: Context, model: nn.Module) -> None:
    """Build the source of a stage with a ``ForegroundLoop``, and list the photos.

    Raises:
        LussError: if the source and the model do not fit, or a photo will have no map.
    """
    splits = list(stage.loaders(context))
    source = check_source(stage, model, context, splits)
    if not source.needs_model and stage.model["type"] != "NoModel":
        raise LussError(
            f"stages.{stage.name}.model is set, but {type(source).__name__} looks at no model; "
            "remove it"
        )


def check_source(
    stage: Test, model: nn.Module, context: Context, loaders: list[str]
) -> ForegroundSource:
    """Build the source ``test_cfg.foreground``, and compare it with the model and the photos.

    Args:
        stage: of the config.
        model: of the stage.
        context: of the run.
        loaders: names of the data loaders whose photos need a map.

    Raises:
        LussError: if the model lacks what the source looks at, there is no model, or a photo will
            have no map.
    """
    stated = stage.test_cfg["foreground"]
    where = f"stages.{stage.name}"
    # Maps that do not exist yet are read from another folder.
    config = with_stand_ins(stated, context.work_dir.root)
    source = FOREGROUND_SOURCES.build(config)
    kind = stage.model["type"]
    if source.needs_model and kind == "NoModel":
        raise LussError(
            f"{where}.test_cfg.foreground: {config['type']} looks at a trained model; set "
            f"{where}.model, checkpoint (or weights) and data_preprocessor"
        )
    missing = [part for part in sorted(source.model_parts) if not hasattr(model, part)]
    if missing:
        raise LussError(
            f"{where}.test_cfg.foreground looks at {', '.join(map(repr, missing))} of a model, but "
            f"{kind} has none; choose another source, or another {where}.model"
        )
    if source.needs_model and not source.model_parts and not hasattr(model, "backbone"):
        raise LussError(
            f"{where}.test_cfg.foreground looks at the features of a backbone, but {kind} has no "
            f"'backbone'; choose another {where}.model"
        )
    if config == stated:
        found = stage.loaders(context)
        require_maps(source, {name: found[name] for name in loaders if name in found}, context)
    return source
