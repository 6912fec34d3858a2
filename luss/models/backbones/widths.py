"""Widths of parts that read feature maps: filled from the backbone, or compared with it."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from luss.errors import LussError
from luss.models.backbones.probing import StageInfo
from luss.registry import MODELS

__all__ = ["fill_head_widths", "fill_widths", "takes"]


def takes(config: Mapping, argument: str) -> bool:
    """Whether the class that a config names has an argument."""
    kind = config.get("type")
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    return found is not None and argument in inspect.signature(found).parameters


def fill_widths(
    config: Mapping, stages: Mapping[int, StageInfo], where: str, key: str = "in_channels"
) -> dict:
    """A config whose ``in_channels`` are those of the backbone.

    Where the config names ``stages=(3,)`` they are a dict of these, else the channels of the
    deepest stage.

    Args:
        config: of a part that reads feature maps.
        stages: of the backbone, in order.
        where: the config's place, for messages.
        key: the argument's name.

    Raises:
        LussError: if the backbone lacks a stage, or given channels are not those of the backbone.
    """
    config = dict(config)
    deepest = stages[max(stages)].channels
    given = config.get(key)
    if not takes(config, key):
        return config
    if isinstance(given, Mapping) or "stages" in config:
        named = config.get("stages", given)
        if unknown := [stage for stage in named if stage not in stages]:
            raise LussError(
                f"{where} reads stage {', '.join(map(str, unknown))}, but the backbone gives "
                f"{_listed(stages)}; add it to the backbone's out_indices"
            )
        widths: Any = {stage: stages[stage].channels for stage in named}
        if not takes(config, "stages"):
            config.pop("stages", None)
    else:
        widths = deepest
    if given is not None and given != widths:
        raise LussError(
            f"{where} has {key}={given}, but the backbone gives {widths} ({_listed(stages)}); "
            f"correct {key}, or leave it out"
        )
    return {**config, key: widths}


def fill_head_widths(config: Mapping, found: Sequence[StageInfo], where: str) -> dict:
    """As :func:`fill_widths`, of a head of mmseg, whose ``in_index`` names maps by their place.

    Args:
        config: of a head that takes ``in_channels``, and ``in_index``, a number or several.
        found: the feature maps.
        where: the config's place, for messages.

    Raises:
        LussError: if there is no such map, or given channels are not those of the backbone.
    """
    config = dict(config)
    index = config.get("in_index", -1)
    several = isinstance(index, Sequence)
    indices = list(index) if several else [index]
    if wrong := [at for at in indices if not -len(found) <= at < len(found)]:
        raise LussError(
            f"{where}.in_index names map {', '.join(map(str, wrong))}, but there are {len(found)}, "
            f"counted from 0: {_numbered(found)}; correct it, or add to the backbone's out_indices"
        )
    widths = [found[at].channels for at in indices]
    given = config.get("in_channels")
    if given is not None and [*(given if isinstance(given, Sequence) else [given])] != widths:
        raise LussError(
            f"{where} has in_channels={given}, but the maps of its in_index={index} have "
            f"{widths if several else widths[0]} ({_numbered(found)}); correct in_channels, or "
            "leave it out"
        )
    return {**config, "in_index": index, "in_channels": widths if several else widths[0]}


def _listed(stages: Mapping[int, StageInfo]) -> str:
    return ", ".join(f"stage {name} of {info}" for name, info in stages.items())


def _numbered(found: Sequence[StageInfo]) -> str:
    return ", ".join(f"map {place} of {info}" for place, info in enumerate(found))
