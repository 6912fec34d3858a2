"""The trained model that a source of foreground looks at, checked before anything runs."""

from luss.errors import LussError
from luss.label_generation.foreground import ForegroundSource
from luss.pipeline.context import Context
from luss.registry import MODELS

__all__ = ["require_model_parts", "trained_model"]


def trained_model(stage: str, context: Context, where: str) -> dict:
    """Return the configuration of the model of a stage, as the config states it.

    Raises:
        LussError: if the stage trains none.
    """
    stages = context.config["stages"]
    if "model" not in stages.get(stage, {}):
        training = [name for name, settings in stages.items() if "model" in settings]
        raise LussError(
            f"{where}.model_from is {stage!r}, which is not a stage with a model; expected one of "
            f"{', '.join(training)}"
        )
    return dict(stages[stage]["model"])


def require_model_parts(source: ForegroundSource, stage: str, context: Context, where: str) -> None:
    """Build the model of a stage, and check that it has the parts that a source needs.

    Args:
        source: of foreground.
        stage: that trains the model.
        context: of the run.
        where: the place of the settings, for messages.

    Raises:
        LussError: if a part is missing, or the stage has no model.
    """
    if not source.model_parts:
        return
    config = trained_model(stage, context, where)
    model = MODELS.build(config)
    missing = [part for part in sorted(source.model_parts) if not hasattr(model, part)]
    if missing:
        raise LussError(
            f"{where}.foreground looks at {', '.join(map(repr, missing))} of a model, but that of "
            f"stage {stage!r}, {config['type']}, has none; choose another source, or let a "
            "ForegroundStage make its maps from a stage whose model has (model_from)"
        )
