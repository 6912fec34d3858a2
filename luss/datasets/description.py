"""Descriptions of data sets, so that stages depend on no data set class by name.

A data set class may define these class methods:

- ``describe(**settings) -> DataDescription``: return splits, masks and classes for the settings of
  ``data`` without ``type``, without listing files;
- ``for_split(settings, split) -> dict``: return the settings of one split; by default, ``split`` is
  added if the class takes it;
- ``recognises(root) -> Recognition | None``: detect the class's folder layout, for
  ``data.type='auto'``.

A class without them has only the split ``train`` and no masks.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from luss.datasets.dataset_class import dataset_class
from luss.datasets.dataset_wrapper import reproducible_dataset
from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["ROLES", "DataDescription", "Recognition", "describe", "split_config"]

ROLES = ("train", "train-semi", "validation", "test")
"""Splits: for unlabelled training, for training with true masks, for model selection, for tests."""


@dataclass(frozen=True)
class DataDescription:
    """Splits, masks and classes of a data set.

    Attributes:
        splits: available splits out of ``ROLES``.
        masked: splits with true masks.
        classes: names of the classes 1..C of masks and categories; None if photos have no classes.
        has_categories: whether training items have ``category``, 1..C, or 0 for other folders.
    """

    splits: tuple[str, ...] = ("train",)
    masked: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    has_categories: bool = False

    def __post_init__(self) -> None:
        unknown = [split for split in self.splits if split not in ROLES]
        missing = [split for split in self.masked if split not in self.splits]
        if unknown or missing:
            raise LussError(
                f"a data set describes the splits {', '.join(self.splits)}, with masks for "
                f"{', '.join(self.masked) or 'none'}. Expected splits out of {', '.join(ROLES)}, "
                "and masks only for its own splits"
            )
        if self.classes is None and (self.masked or self.has_categories):
            raise LussError(
                "a data set describes masks or categories without class names. Set `classes` of "
                "its DataDescription"
            )

    @property
    def num_classes(self) -> int | None:
        """C, without 'other'; None without classes."""
        return None if self.classes is None else len(self.classes)

    @property
    def measured(self) -> tuple[str, ...]:
        """Evaluation splits that have masks."""
        return tuple(split for split in ("validation", "test") if split in self.masked)

    @property
    def evaluated(self) -> tuple[str, ...]:
        """Evaluation splits, those with masks first; empty if none has masks.

        ImageNet-S's test split has no public masks, but its predictions can be submitted.
        """
        without = [
            split
            for split in ("validation", "test")
            if split in self.splits and split not in self.masked
        ]
        return (*self.measured, *without) if self.measured else ()


@dataclass(frozen=True)
class Recognition:
    """Evidence that a folder has the layout of a data set class.

    Attributes:
        sign: what was found, such as "a folder 'train' as ImageNet-S split roots have".
        doubt: evidence against this class; None if there is none.
        use: files that this class would use, completing "data.type=X to use ...".
    """

    sign: str
    doubt: str | None = None
    use: str = "it as such"


def describe(settings: Mapping[str, Any]) -> DataDescription:
    """Return the class's own description, or one derived from metainfo and the first item.

    Args:
        settings: of the data set, with ``type``, without split.

    Raises:
        LussError: if the type is unknown, or raised by the class.
    """
    kind = dataset_class(settings["type"])
    settings = {key: value for key, value in settings.items() if key not in ("type", "split")}
    if _has(kind, "describe"):
        return cast(Any, kind).describe(**settings)
    return _describe_items({"type": kind, **settings})


def _describe_items(settings: dict[str, Any]) -> DataDescription:
    config = reproducible_dataset(split_config(settings, "train"))
    dataset = DATASETS.build({**config, "pipeline": []})
    classes = (getattr(dataset, "metainfo", None) or {}).get("classes")
    labelled = len(dataset) > 0 and "category" in dataset.get_data_info(0)
    return DataDescription(
        classes=tuple(map(str, classes)) if classes and labelled else None,
        has_categories=bool(classes) and labelled,
    )


def split_config(settings: Mapping[str, Any], split: str) -> dict[str, Any]:
    """Return the settings of a data set for one split.

    Args:
        settings: of the data set, with ``type``; ``data_root`` is dropped if the class does not
            take it.
        split: one of its splits.

    Raises:
        LussError: if it has no such split.
    """
    kind = dataset_class(settings["type"])
    config = {key: value for key, value in settings.items() if key != "split"}
    if _has(kind, "for_split"):
        return cast(Any, kind).for_split(config, split)
    takes = _arguments(kind)
    if takes is not None and "data_root" not in takes:
        config.pop("data_root", None)
    if _has(kind, "describe") or (takes is not None and "split" in takes):
        return {**config, "split": split}
    if split != "train":
        raise LussError(
            f"the data set {kind.__name__} has no split {split!r}, since it takes no argument "
            "`split`. It can only be used for training"
        )
    return config


def _has(kind: type, name: str) -> bool:
    """Return whether a class has a class method of this name."""
    return inspect.ismethod(getattr(kind, name, None))


def _arguments(kind: type) -> set[str] | None:
    """Return the names of a class's arguments; None if it takes any."""
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}
