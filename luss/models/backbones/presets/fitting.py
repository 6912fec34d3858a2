"""Presets that a weight file fits, by names and shapes of its tensors."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from luss.errors import LussError
from luss.models.backbones.picking import share_of_matches
from luss.models.backbones.presets.preset import Preset, is_installed, tensor_shapes
from luss.models.backbones.presets.table import PRESETS
from luss.models.backbones.presets.timm_networks import (
    TIMM_PREFIX,
    preset_of_timm,
    timm_names_in,
)
from luss.models.backbones.weights import WeightsEntry

__all__ = ["Fit", "fitting_presets", "nearest_preset"]


_CLOSE = 0.2
"""Smallest share of tensors that makes a preset worth naming."""


@dataclass(frozen=True)
class Fit:
    """How well a weight file fits a preset.

    Attributes:
        name: of the preset.
        preset: itself.
        share: of tensors with equal names and shapes, in [0, 1]; 1 is an exact fit.
    """

    name: str
    preset: Preset
    share: float


def fitting_presets(content: Mapping, file: str) -> list[Fit]:
    """Compare a weight file with all presets.

    Presets whose packages are not installed are left out. Of timm's networks, those are compared
    whose names are part of the file's name.

    Args:
        content: of the file.
        file: its name. Equal fits are ordered by its similarity to the published file's name.

    Returns:
        Fits above 0, best first.
    """
    stem = Path(file).name
    presets = {name: preset for name, preset in PRESETS.items() if is_installed(preset.needs)}
    presets |= {TIMM_PREFIX + name: preset_of_timm(name) for name in timm_names_in(stem)}
    fits = [Fit(name, preset, _share(content, preset, file)) for name, preset in presets.items()]

    def order(fit: Fit) -> tuple[float, float]:
        return fit.share, difflib.SequenceMatcher(None, stem, fit.preset.file).ratio()

    return sorted((fit for fit in fits if fit.share > 0), key=order, reverse=True)


def nearest_preset(content: Mapping, file: str) -> str:
    """Return a sentence, after a space, on the preset that a file fits best; empty if none."""
    fits = fitting_presets(content, file)
    if not fits or fits[0].share < _CLOSE:
        return ""
    exact = [fit.name for fit in fits if fit.share == 1]
    if exact:
        return f" The file fits the backbone {' or '.join(exact[:3])} of luss backbones"
    best = fits[0]
    return (
        f" The nearest backbone of luss backbones is {best.name} ({best.share:.0%} of the tensors)"
    )


def _share(content: Mapping, preset: Preset, file: str) -> float:
    entry = WeightsEntry.parse({**preset.weights, "file": file}, "weights")
    try:
        return share_of_matches(content, entry, tensor_shapes(preset))
    # The file has no tensors.
    except LussError:
        return 0.0
