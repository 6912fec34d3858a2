"""Where the maps of foreground lie that another stage made, filled into what reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luss.datasets.transforms import (
    LoadForegroundAsMask,
    LoadForegroundMap,
    StandInForegroundAsMask,
    StandInForegroundMap,
)
from luss.errors import LussError
from luss.label_generation.foreground import FolderOfMaps, ForegroundSource
from luss.pipeline.context import Context

__all__ = [
    "loads_maps",
    "maps_of",
    "require_maps",
    "require_reader",
    "with_map_folders",
    "with_stand_in_maps",
    "without_map_loading",
]

_STAND_INS = {
    LoadForegroundAsMask.__name__: StandInForegroundAsMask.__name__,
    LoadForegroundMap.__name__: StandInForegroundMap.__name__,
}
_TRANSFORMS = (LoadForegroundAsMask.__name__, LoadForegroundMap.__name__)
_READERS = (*_TRANSFORMS, FolderOfMaps.__name__)


def maps_of(stage: str, context: Context) -> Path:
    """The folder of the maps that a ``ForegroundStage`` makes."""
    return context.work_dir.stage(stage) / "maps"


def with_map_folders(config: Any, root: Path, split: str = "train") -> Any:
    """A config in which all readers of maps that name no folder have one.

    Args:
        config: of anything, however nested.
        root: folder of ``<split>/<image id>.png``.
        split: whose photos the transforms see; ``FolderOfMaps`` asks each photo.
    """
    if isinstance(config, list | tuple):
        return [with_map_folders(entry, root, split) for entry in config]
    if not isinstance(config, dict):
        return config
    config = {key: with_map_folders(value, root, split) for key, value in config.items()}
    if config.get("type") in _READERS and config.get("folder") is None:
        config["folder"] = str(root / split if config["type"] in _TRANSFORMS else root)
    return config


def require_reader(config: Any, where: str) -> None:
    """Refuse ``maps_from`` of a stage in which nothing reads maps.

    Raises:
        LussError: if no reader leaves its folder open.
    """
    here = Path()
    if with_map_folders(config, here) == with_map_folders(config, here / "other"):
        raise LussError(
            f"{where}.maps_from changes nothing: nothing of the stage leaves the folder of its "
            f"maps open; expected one of {', '.join(_READERS)}"
        )


def require_maps(source: ForegroundSource, loaders: Mapping[str, dict], context: Context) -> None:
    """List photos, and check that a source will have a map of each.

    Args:
        source: of foreground.
        loaders: configs of data loaders, by any name.
        context: of the run.

    Raises:
        LussError: if a data set cannot be built, or a photo will have no map.
    """
    for loader in loaders.values():
        dataset = context.dataset(loader["dataset"])
        infos = map(dataset.get_data_info, range(len(dataset)))
        split = getattr(dataset, "split", "train")
        source.check_photos(split, (info["image_id"] for info in infos))


def without_map_loading(config: Any) -> Any:
    """A config, however nested, whose pipelines do not load maps."""
    if isinstance(config, list | tuple):
        return [without_map_loading(entry) for entry in config if not _loads_map(entry)]
    if not isinstance(config, dict):
        return config
    return {key: without_map_loading(value) for key, value in config.items()}


def with_stand_in_maps(config: Any) -> Any:
    """Return a config, however nested, whose pipelines make maps up instead of loading them."""
    if isinstance(config, list | tuple):
        return [with_stand_in_maps(entry) for entry in config]
    if not isinstance(config, dict):
        return config
    config = {key: with_stand_in_maps(value) for key, value in config.items()}
    if _loads_map(config):
        config["type"] = _STAND_INS[config["type"]]
    return config


def loads_maps(config: Any) -> bool:
    """Whether a pipeline in a config, however nested, loads maps."""
    if isinstance(config, dict):
        return _loads_map(config) or any(map(loads_maps, config.values()))
    return isinstance(config, list | tuple) and any(map(loads_maps, config))


def _loads_map(step: Any) -> bool:
    return isinstance(step, dict) and step.get("type") in _TRANSFORMS
