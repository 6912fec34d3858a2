"""What settings read from folders of other stages, for checks before those stages have run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from luss.datasets.transforms import (
    FindMask,
    LoadFeatures,
    LoadForegroundAsMask,
    LoadMask,
    LoadRGBImage,
    RandomFeatureWindow,
    StandInFeatures,
    StandInForegroundAsMask,
    StandInMask,
)
from luss.label_generation.foreground import FolderOfMaps, ForegroundSource
from luss.models.backbones import StageInfo
from luss.nested import dicts_in, replaced
from luss.pipeline.context import Context

__all__ = [
    "loads_features",
    "loads_images",
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

    def change(part: Any) -> Any:
        if isinstance(part, dict):
            return part
        return [entry for entry in part if not _loads_map(entry)]

    return replaced(config, change)


def with_stand_ins(
    config: Any, root: Path, features: Callable[[], Sequence[StageInfo]] | None = None
) -> Any:
    """Return a config, however nested, without what other stages have not written yet.

    Pipelines make up the maps, features and labels that they would load, and a ``FolderOfMaps`` is
    one of the work dir, which exists.

    Args:
        config: of anything, with pipelines of transforms or sources of foreground.
        root: of the work dir; a folder below it may be one that another stage will write.
        features: returns the feature maps of the backbone, see :func:`probe`; without it, features
            are not made up.
    """

    def change(part: Any) -> Any:
        if not isinstance(part, dict):
            if features is not None:
                part = _with_stand_in_features(part, root, features)
            return _with_stand_in_masks(part, root)
        if _loads_map(part) and _is_pending(part.get("folder"), root):
            part["type"] = StandInForegroundAsMask.__name__
        elif part.get("type") == FolderOfMaps.__name__ and _is_pending(part.get("folder"), root):
            part["folder"] = str(root)
        return part

    return replaced(config, change)


def _with_stand_in_masks(steps: Any, root: Path) -> Any:
    """Return a pipeline that makes masks up, if a stage has not written them yet."""
    kinds = [step.get("type") if isinstance(step, dict) else None for step in steps]
    if FindMask.__name__ not in kinds:
        return steps
    find = steps[kinds.index(FindMask.__name__)]
    if not _is_pending(find["root"], root):
        return steps
    made_up = {"type": StandInMask.__name__, "num_classes": find["num_classes"]}
    return [
        made_up if kind == LoadMask.__name__ else step
        for step, kind in zip(steps, kinds, strict=True)
        if step is not find
    ]


def _with_stand_in_features(
    steps: Any, root: Path, features: Callable[[], Sequence[StageInfo]]
) -> Any:
    """Return a pipeline that makes features up, if a stage has not written them yet.

    They are those of a photo in which the pipeline's window fits.
    """
    kinds = [step.get("type") if isinstance(step, dict) else None for step in steps]
    if LoadFeatures.__name__ not in kinds:
        return steps
    place = kinds.index(LoadFeatures.__name__)
    if not _is_pending(steps[place]["folder"], root):
        return steps
    maps = features()
    strides = [one.stride for one in maps]
    window = RandomFeatureWindow.__name__
    windows = [step["size"] for step, kind in zip(steps, kinds, strict=True) if kind == window]
    made_up = {
        "type": StandInFeatures.__name__,
        "channels": [one.channels for one in maps],
        "strides": strides,
        "side": max(windows, default=4 * max(strides)),
    }
    return [*steps[:place], made_up, *steps[place + 1 :]]


def loads_features(config: Any) -> bool:
    """Return whether a pipeline in a config, however nested, loads stored features."""
    return _contains(config, LoadFeatures)


def loads_images(config: Any) -> bool:
    """Return whether a pipeline in a config, however nested, loads images."""
    return not loads_features(config) or _contains(config, LoadRGBImage)


def loads_maps(config: Any) -> bool:
    """Return whether a pipeline in a config, however nested, loads maps."""
    return _contains(config, LoadForegroundAsMask)


def _contains(config: Any, kind: type) -> bool:
    return any(part.get("type") == kind.__name__ for part in dicts_in(config))


def _loads_map(step: Any) -> bool:
    return isinstance(step, dict) and step.get("type") == LoadForegroundAsMask.__name__
