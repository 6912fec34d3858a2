"""Foreground sources for comparison, by name."""

import inspect
import json
import logging
from collections.abc import Container
from typing import Any

from mmengine.logging import print_log
from numpy.typing import NDArray
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.foreground.photo import LazyPhoto
from luss.label_generation.foreground.source import ForegroundSource
from luss.registry import FOREGROUND_SOURCES

__all__ = ["COMBINATIONS", "build_to_compare", "sources_to_compare"]

_CENTRE = {"type": "CentrePrior"}
_NEAR = {"type": "ProductOfMaps", "sources": [{"type": "BoundaryPrior"}, _CENTRE]}
_OF_PHOTO = {"type": "MeanOfRanks", "sources": [_NEAR, {"type": "RegionContrast"}]}
_ATTENTION = {"type": "Attention"}
_CUT = {"type": "FeatureCut"}

COMBINATIONS: dict[str, dict] = {
    "boundary-centre": _NEAR,
    "photo-ranks": _OF_PHOTO,
    "photo-ranks-grabcut": {"type": "GrabCut", "source": _OF_PHOTO},
    "photo-ranks-pamr": {"type": "PAMR", "source": _OF_PHOTO},
    "cut-centre": {"type": "ProductOfMaps", "sources": [_CUT, _CENTRE]},
    "attention-photo-ranks": {"type": "ProductOfRanks", "sources": [_ATTENTION, _OF_PHOTO]},
}
"""Combinations that are compared in addition to the plain sources."""

_FACTS = ("needs_model", "model_parts", "is_free", "largest_threshold", "scale_of_set")


def sources_to_compare(
    names: list[str] | None = None,
    with_model: bool = True,
    model_parts: Container[str] | None = None,
) -> dict[str, dict]:
    """Return configs of foreground sources by name.

    Args:
        names: of registered sources without required settings, or of :data:`COMBINATIONS`; by
            default all that can be built; the log lists the others.
        with_model: whether the default includes sources that need a trained model.
        model_parts: available parts of the model, in addition to its features; None for any.

    Raises:
        LussError: if there is no such source, or it has required settings.
    """
    plain = {
        name: {"type": name}
        for name, kind in sorted(FOREGROUND_SOURCES.module_dict.items())
        if not _needs_settings(kind)
    }
    known = plain | COMBINATIONS
    if names is not None:
        if unknown := [name for name in names if name not in known]:
            raise LussError(
                f"unknown foreground source {unknown[0]!r} to compare, or it has required "
                f"settings; known are: {', '.join(known)}. The run's own source is always compared"
            )
        return {name: known[name] for name in dict.fromkeys(names)}
    return {
        name: config
        for name, config in known.items()
        if (with_model or not _needs_model(config))
        and (model_parts is None or all(part in model_parts for part in _parts_in(config)))
        and _can_be_built(name, config)
    }


def build_to_compare(configs: dict[str, dict]) -> dict[str, ForegroundSource]:
    """Build sources; inner sources with equal configs are shared and compute a map only once.

    Args:
        configs: name -> config.
    """
    built: dict[str, ForegroundSource] = {}
    return {name: _build_once(config, built) for name, config in configs.items()}


def _build_once(config: dict, built: dict[str, ForegroundSource]) -> ForegroundSource:
    key = json.dumps(config, sort_keys=True, default=str)
    if key not in built:
        filled: dict[str, Any] = dict(config)
        if isinstance(config.get("source"), dict):
            filled["source"] = _build_once(config["source"], built)
        if isinstance(config.get("sources"), list | tuple):
            filled["sources"] = [_build_once(inner, built) for inner in config["sources"]]
        built[key] = _CachingSource(FOREGROUND_SOURCES.build(filled))
    return built[key]


class _CachingSource(ForegroundSource):
    """A source that caches its last photo's map."""

    def __init__(self, source: ForegroundSource) -> None:
        self.source = source
        for name in _FACTS:
            setattr(self, name, getattr(source, name))
        self._last: tuple[LazyPhoto, NDArray | Tensor] | None = None

    def __call__(self, photo: LazyPhoto) -> NDArray | Tensor:
        """Return the map (h, w) of a photo."""
        if self._last is None or self._last[0] is not photo:
            self._last = photo, self.source(photo)
        return self._last[1]


def _can_be_built(name: str, config: dict) -> bool:
    try:
        FOREGROUND_SOURCES.build(dict(config))
    except LussError as error:
        print_log(f"{name} is not compared: {error}", "current", level=logging.WARNING)
        return False
    return True


def _needs_settings(kind: type) -> bool:
    parameters = inspect.signature(kind).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return any(p.default is p.empty and p.kind not in variable for p in parameters)


def _types_in(config: dict) -> set[str]:
    inner = [*config.get("sources", ()), *([config["source"]] if "source" in config else ())]
    return {config["type"]}.union(*map(_types_in, inner))


def _needs_model(config: dict) -> bool:
    return any(FOREGROUND_SOURCES.get(name).needs_model for name in _types_in(config))


def _parts_in(config: dict) -> frozenset[str]:
    kinds = (FOREGROUND_SOURCES.get(name) for name in _types_in(config))
    return frozenset().union(*(getattr(kind, "model_parts", ()) for kind in kinds))
