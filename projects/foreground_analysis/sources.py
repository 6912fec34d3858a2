"""Foreground sources for comparison, by name."""

import json
import logging
from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log

from luss.build_errors import clear_build_errors
from luss.errors import LussError
from luss.label_generation.foreground import ForegroundSource, LazyPhoto
from luss.registry import FOREGROUND_SOURCES

__all__ = ["SOURCES", "build_sources", "own_name"]

_CENTRE = {"type": "CentrePrior"}
_NEAR = {"type": "ProductOfMaps", "sources": [{"type": "BoundaryPrior"}, _CENTRE]}
_OF_PHOTO = {"type": "MeanOfRanks", "sources": [_NEAR, {"type": "RegionContrast"}]}
_CUT = {"type": "FeatureCut"}
_FRAME = {"type": "FrameDistance"}
_FRAME_OF_PHOTO = {"type": "MeanOfRanks", "sources": [_FRAME, _OF_PHOTO]}

SOURCES: dict[str, dict] = {
    "Attention": {"type": "Attention"},
    "BoundaryPrior": {"type": "BoundaryPrior"},
    "CentrePrior": _CENTRE,
    "FeatureCut": _CUT,
    "FrameDistance": _FRAME,
    "RegionContrast": {"type": "RegionContrast"},
    "boundary-centre": _NEAR,
    "photo-ranks": _OF_PHOTO,
    "photo-ranks-grabcut": {"type": "GrabCut", "source": _OF_PHOTO},
    "photo-ranks-pamr": {"type": "PAMR", "source": _OF_PHOTO},
    "cut-centre": {"type": "ProductOfMaps", "sources": [_CUT, _CENTRE]},
    "frame-photo-ranks": _FRAME_OF_PHOTO,
    "frame-photo-ranks-grabcut": {"type": "GrabCut", "source": _FRAME_OF_PHOTO},
    "attention-photo-ranks": {
        "type": "MeanOfRanks",
        "sources": [{"type": "Attention"}, _OF_PHOTO],
    },
}
"""Sources that are compared by default."""


class _Once:
    """A source that remembers the map of its last photo."""

    def __init__(self, source: ForegroundSource) -> None:
        self._source = source
        self._last: tuple[LazyPhoto | None, Any] = (None, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def __call__(self, photo: LazyPhoto) -> Any:
        """Return the map (h, w) of a photo."""
        if self._last[0] is not photo:
            self._last = photo, self._source(photo)
        return self._last[1]


def own_name(own: dict) -> str:
    """Return the name of a run's own source: that of an equal one in `SOURCES`, or its type."""
    known = (name for name, config in SOURCES.items() if config == own)
    return next(known, own["type"] if len(own) == 1 else f"own ({own['type']})")


def build_sources(names: Sequence[str] | None, own: dict, model: Any) -> dict[str, _Once]:
    """Build the sources to compare; equal parts compute the map of a photo only once.

    Args:
        names: of `SOURCES`, or of registered sources without required settings; by default all of
            `SOURCES` that can be built.
        own: config of the run's own source, which is always compared.
        model: trained model; None for only sources without one.

    Returns:
        Name -> source, the run's own last.

    Raises:
        LussError: if there is no source of a name, or the model lacks what it reads.
    """
    built: dict[str, _Once] = {}
    found: dict[str, _Once] = {}
    configs = {name: SOURCES.get(name, {"type": name}) for name in names or SOURCES}
    for name, config in {**configs, own_name(own): own}.items():
        try:
            with clear_build_errors(f"foreground source {name!r}"):
                source = _build(config, built)
            if source.needs_model and model is None:
                raise LussError(f"the foreground source {name!r} reads a model")
            if missing := [part for part in source.model_parts if not hasattr(model, part)]:
                raise LussError(f"the foreground source {name!r} reads {missing[0]!r} of the model")
            found[name] = source
        except LussError as error:
            if names is not None or config == own:
                raise
            print_log(f"{name} is not compared: {error}", "current", level=logging.WARNING)
    return found


def _build(config: dict, built: dict[str, _Once]) -> _Once:
    key = json.dumps(config, sort_keys=True, default=str)
    if key not in built:
        filled = dict(config)
        if "source" in config:
            filled["source"] = _build(config["source"], built)
        if "sources" in config:
            filled["sources"] = [_build(inner, built) for inner in config["sources"]]
        built[key] = _Once(FOREGROUND_SOURCES.build(filled))
    return built[key]
