"""Photos that a pipeline keeps for a refiner of predictions."""

from collections.abc import Iterator
from typing import Any

from luss.errors import LussError

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
    if isinstance(config, dict):
        config = {key: keeping_photo(value, where) for key, value in config.items()}
        if "pipeline" not in config:
            return config
        pipeline = list(config["pipeline"])
        kinds = [step.get("type") for step in pipeline]
        if _KEEP not in kinds:
            if _LOAD not in kinds:
                raise LussError(
                    f"{where}.refiner needs the photo, but a pipeline of {where}.test_dataloader "
                    f"has no {_LOAD}; add dict(type={_KEEP!r}) after the step that loads the photo"
                )
            pipeline.insert(kinds.index(_LOAD) + 1, {"type": _KEEP})
        return {**config, "pipeline": pipeline}
    return config


def require_photo(config: dict, where: str) -> None:
    """Check that all pipelines keep the photo.

    Raises:
        LussError: if one does not.
    """
    for pipeline in _pipelines(config):
        if all(step.get("type") != _KEEP for step in pipeline):
            raise LussError(
                f"the model of {where} has a refiner, but a pipeline of {where}.test_dataloader "
                f"does not keep the photo; set the refiner as {where}.refiner instead"
            )


def _pipelines(config: Any) -> Iterator[list[dict]]:
    if isinstance(config, dict):
        if "pipeline" in config:
            yield config["pipeline"]
        for value in config.values():
            yield from _pipelines(value)
