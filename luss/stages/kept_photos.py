"""Photos that a pipeline keeps for a refiner of predictions."""

from typing import Any

from luss.errors import LussError
from luss.nested import dicts_in, replaced

__all__ = ["keeping_photo", "require_photo"]

_KEEP, _LOAD = "KeepPhoto", "LoadRGBImage"


def keeping_photo(config: Any, where: str) -> Any:
    """Return a config, however nested, whose pipelines keep the photo.

    Args:
        config: of data loaders.
        where: the place of the stage, for messages.

    Raises:
        LussError: if a pipeline loads no photo.
    """

    def change(part: Any) -> Any:
        if not isinstance(part, dict) or "pipeline" not in part:
            return part
        pipeline = list(part["pipeline"])
        kinds = [step.get("type") for step in pipeline]
        if _KEEP not in kinds:
            if _LOAD not in kinds:
                raise LussError(
                    f"{where}.refiner needs the photo, but a pipeline of {where}.test_dataloader "
                    f"has no {_LOAD}; add dict(type={_KEEP!r}) after the step that loads the photo"
                )
            pipeline.insert(kinds.index(_LOAD) + 1, {"type": _KEEP})
        return {**part, "pipeline": pipeline}

    return replaced(config, change)


def require_photo(config: dict, where: str) -> None:
    """Check that all pipelines keep the photo.

    Raises:
        LussError: if one does not.
    """
    for part in dicts_in(config):
        if "pipeline" in part and all(step.get("type") != _KEEP for step in part["pipeline"]):
            raise LussError(
                f"the model of {where} has a refiner, but a pipeline of {where}.test_dataloader "
                f"does not keep the photo; set the refiner as {where}.refiner instead"
            )
