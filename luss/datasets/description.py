"""What a data set says about itself, so that stages need to know none by name.

A class of data sets takes part by class methods, all of them optional:

- ``describe(**settings) -> DataDescription``: its splits, masks and classes, from the settings of
  ``data`` without ``type``, and without listing its files;
- ``for_split(settings, split) -> dict``: the settings for one split; by default ``split`` is
  filled in where the class takes it;
- ``recognises(root) -> Recognition | None``: whether a folder is of its kind, for
  ``data.type='auto'``.

One without them, of another library or one's own, has the split ``train`` alone and no masks.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luss.datasets.dataset_class import dataset_class
from luss.datasets.dataset_wrapper import reproducible_dataset
from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["ROLES", "DataDescription", "Recognition", "describe", "split_config"]

ROLES = ("train", "train-semi", "validation", "test")
"""What a split is for: to train without labels, to train with true masks, to choose by, to test."""


@dataclass(frozen=True)
class DataDescription:
    """What a data set has.

    Attributes:
        splits: those of ``ROLES`` that are there.
        masked: those of them with true masks.
        classes: names of the classes 1..C, of masks and categories; None where photos have none.
        has_categories: whether training items carry ``category``, 1..C, or 0 for none of them.
    """

    splits: tuple[str, ...] = ("train",)
    masked: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    has_categories: bool = False

    def __post_init__(self) -> None:
        unknown = [split for split in self.splits if split not in ROLES]
        absent = [split for split in self.masked if split not in self.splits]
        if unknown or absent:
            raise LussError(
                f"a data set describes the splits {', '.join(self.splits)}, with masks for "
                f"{', '.join(self.masked) or 'none'}; expected some of {', '.join(ROLES)}, and "
                "masks for none but these"
            )
        if self.classes is None and (self.masked or self.has_categories):
            raise LussError("a data set describes true masks or categories, but names no classes")

    @property
    def num_classes(self) -> int | None:
        """C, without 'other'; None where there are no classes."""
        return None if self.classes is None else len(self.classes)

    @property
    def measured(self) -> tuple[str, ...]:
        """Splits whose predictions can be measured: those of evaluation that have masks."""
        return tuple(split for split in ("validation", "test") if split in self.masked)

    @property
    def evaluated(self) -> tuple[str, ...]:
        """Splits to predict: those with masks, validation first, then those without.

        The masks of ImageNet-S's test split are not public; its predictions can be submitted.
        Empty if none can be measured.
        """
        without = [
            split
            for split in ("validation", "test")
            if split in self.splits and split not in self.masked
        ]
        return (*self.measured, *without) if self.measured else ()


@dataclass(frozen=True)
class Recognition:
    """Why a folder looks as a class of data sets has it.

    Attributes:
        sign: what was found in it, such as "a folder 'train' as ImageNet-S split roots have".
        doubt: why it may be something else all the same; None if there is no doubt.
        use: what of the folder is used as this kind, to go on "data.type=X to use ...".
    """

    sign: str
    doubt: str | None = None
    use: str = "it as such"


def describe(settings: Mapping[str, Any]) -> DataDescription:
    """What a data set has, by its class, or else by what its metainfo and its first item say.

    Args:
        settings: of the data set, with ``type``; no split.

    Raises:
        LussError: if the type is unknown, or as the class has it.
    """
    kind = dataset_class(settings["type"])
    settings = {key: value for key, value in settings.items() if key not in ("type", "split")}
    if _has(kind, "describe"):
        return kind.describe(**settings)
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
    """The settings of a data set for one split.

    Args:
        settings: of the data set, with ``type``; a ``data_root`` that it does not take goes.
        split: one of its splits.

    Raises:
        LussError: if it has no such split.
    """
    kind = dataset_class(settings["type"])
    config = {key: value for key, value in settings.items() if key != "split"}
    if _has(kind, "for_split"):
        return kind.for_split(config, split)
    takes = _arguments(kind)
    if takes is not None and "data_root" not in takes:
        config.pop("data_root", None)
    if _has(kind, "describe") or (takes is not None and "split" in takes):
        return {**config, "split": split}
    if split != "train":
        raise LussError(
            f"the data set {kind.__name__} has no split {split!r}; it says nothing of splits, so "
            "that it is used for training alone"
        )
    return config


def _has(kind: type, name: str) -> bool:
    """Whether a class has a class method of this name."""
    return inspect.ismethod(getattr(kind, name, None))


def _arguments(kind: type) -> set[str] | None:
    """Names of the arguments that a class takes; None if it takes any."""
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}
