"""Channels of modules that read feature maps: set from the backbone, or checked against it."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from luss.errors import LussError
from luss.models.backbones.probing import StageInfo
from luss.registry import MODELS

__all__ = ["fill_head_widths", "fill_widths", "takes"]


def takes(config: Mapping, argument: str) -> bool:
    """Return whether the class of a config has an argument."""
    kind = config.get("type")
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    return found is not None and argument in inspect.signature(found).parameters


def fill_widths(
    config: Mapping, stages: Mapping[int, StageInfo], where: str, key: str = "in_channels"
) -> dict:
    """Set ``in_channels`` of a config to the backbone's channels.

    They are a dict if the config sets ``stages``, such as ``stages=(3,)``, otherwise the channels
    of the last stage.

    Args:
        config: of a module that reads feature maps.
        stages: of the backbone, in order.
        where: the config's place, for messages.
        key: name of the argument.

    Raises:
        LussError: if the backbone lacks a stage, or the config sets other channels.
    """
    config = dict(config)
    deepest = stages[max(stages)].channels
    given = config.get(key)
    if not takes(config, key):
        return config
    if isinstance(given, Mapping) or "stages" in config:
        named: Any = config.get("stages", given)
        if unknown := [stage for stage in named if stage not in stages]:
            raise LussError(
                f"{where} reads stage {', '.join(map(str, unknown))}, but the backbone returns "
                f"{_listed(stages)}; add it to the backbone's out_indices"
            )
        widths: Any = {stage: stages[stage].channels for stage in named}
        if not takes(config, "stages"):
            config.pop("stages", None)
    else:
        widths = deepest
    if given is not None and given != widths:
        raise LussError(
            f"{where} has {key}={given}, but the backbone returns {widths} ({_listed(stages)}); "
            f"correct {key}, or remove it"
        )
    return {**config, key: widths}


def fill_head_widths(config: Mapping, found: Sequence[StageInfo], where: str) -> dict:
    """Set ``in_channels`` of mmseg's heads, whose ``in_index`` selects maps by position.

    Args:
        config: of a head with ``in_channels`` and ``in_index``, an int or several.
        found: the feature maps.
        where: the config's place, for messages.

    Raises:
        LussError: if there is no such map, or the config sets other channels.
    """
    config = dict(config)
    index = config.get("in_index", -1)
    several = isinstance(index, Sequence)
    indices = list(index) if several else [index]
    if wrong := [at for at in indices if not -len(found) <= at < len(found)]:
        raise LussError(
            f"{where}.in_index contains {', '.join(map(str, wrong))}, but there are {len(found)} "
            f"maps, counted from 0: {_numbered(found)}; correct in_index, or add the map to the "
            "backbone's out_indices"
        )
    widths = [found[at].channels for at in indices]
    given = config.get("in_channels")
    if given is not None and [*(given if isinstance(given, Sequence) else [given])] != widths:
        raise LussError(
            f"{where} has in_channels={given}, but the maps of its in_index={index} have "
            f"{widths if several else widths[0]} ({_numbered(found)}); correct in_channels, or "
            "remove it"
        )
    return {**config, "in_index": index, "in_channels": widths if several else widths[0]}


def _listed(stages: Mapping[int, StageInfo]) -> str:
    return ", ".join(f"stage {name} of {info}" for name, info in stages.items())


def _numbered(found: Sequence[StageInfo]) -> str:
    return ", ".join(f"map {place} of {info}" for place, info in enumerate(found))
