"""What settings read from folders of other stages, for checks before those stages have run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luss.datasets.transforms import (
    FindMask,
    LoadForegroundAsMask,
    LoadMask,
    StandInForegroundAsMask,
    StandInMask,
)
from luss.label_generation.foreground import FolderOfMaps, ForegroundSource
from luss.pipeline.context import Context

__all__ = [
    "loads_maps",
    "require_maps",
    "with_stand_ins",
    "without_map_loading",
]


def _is_pending(folder: str | None, root: Path) -> bool:
    """Return whether a stage of the run has not finished writing a folder."""
    root = root.expanduser().absolute()
    path = root / Path(folder or "").expanduser()
    if folder is None or not path.is_relative_to(root):
        return False
    stage = root / path.relative_to(root).parts[0]
    is_unfinished = (stage / "inputs.json").exists() and not (stage / "done.json").exists()
    return is_unfinished or not path.exists()


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
    """Return a config, however nested, whose pipelines do not load maps."""
    if isinstance(config, list | tuple):
        return [without_map_loading(entry) for entry in config if not _loads_map(entry)]
    if not isinstance(config, dict):
        return config
    return {key: without_map_loading(value) for key, value in config.items()}


def with_stand_ins(config: Any, root: Path) -> Any:
    """Return a config, however nested, without what other stages have not written yet.

    Pipelines make up the maps and labels that they would load, and a ``FolderOfMaps`` is one of
    the work dir, which exists.

    Args:
        config: of anything, with pipelines of transforms or sources of foreground.
        root: of the work dir; a folder below it may be one that another stage will write.
    """
    if isinstance(config, list | tuple):
        steps = [with_stand_ins(entry, root) for entry in config]
        kinds = [step.get("type") if isinstance(step, dict) else None for step in steps]
        if FindMask.__name__ in kinds:
            find = steps[kinds.index(FindMask.__name__)]
            if _is_pending(find["root"], root):
                made_up = {"type": StandInMask.__name__, "num_classes": find["num_classes"]}
                steps = [
                    made_up if k == LoadMask.__name__ else s
                    for s, k in zip(steps, kinds, strict=True)
                ]
                steps.remove(find)
        # Of the same type: callers compare with what the config states.
        return steps if isinstance(config, list) else tuple(steps)
    if not isinstance(config, dict):
        return config
    config = {key: with_stand_ins(value, root) for key, value in config.items()}
    if _loads_map(config) and _is_pending(config.get("folder"), root):
        config["type"] = StandInForegroundAsMask.__name__
    elif config.get("type") == FolderOfMaps.__name__ and _is_pending(config.get("folder"), root):
        config["folder"] = str(root)
    return config


def loads_maps(config: Any) -> bool:
    """Return whether a pipeline in a config, however nested, loads maps."""
    if isinstance(config, dict):
        return _loads_map(config) or any(map(loads_maps, config.values()))
    return isinstance(config, list | tuple) and any(map(loads_maps, config))


def _loads_map(step: Any) -> bool:
    return isinstance(step, dict) and step.get("type") == LoadForegroundAsMask.__name__
