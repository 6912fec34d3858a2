"""Settings of a preset, for configs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luss.errors import LussError, nearest
from luss.models.backbones.presets.preset import Preset, is_installed
from luss.models.backbones.presets.table import PRESETS
from luss.models.backbones.presets.timm_networks import (
    TIMM_PREFIX,
    download_from_timm,
    preset_of_timm,
)

__all__ = ["backbone_settings", "find_preset"]


def backbone_settings(preset: str, weights: str | Mapping[str, Any] | None = None) -> dict:
    """Return all settings of a pretrained backbone that a config needs.

    ``backbone_settings("dinov2_vits14", "FILE")`` returns::

        dict(
            backbone=dict(type="LayerScaleVisionTransformer", arch="deit-small", ...),
            weights=dict(file="FILE", layout="dinov2"),
            mean=(0.485, 0.456, 0.406),  # of values in [0, 1]; 255 times that for 8-bit values
            std=(0.229, 0.224, 0.225),
            multiple=14,   # of both sides of all images, as in ResizeShortSide(multiple_of=14)
            size=518,      # side of the images at the end of the training
            in_index=[0],  # the backbone's feature maps, for heads of mmseg
            labels=False,  # whether the training used image labels; None if unknown
        )

    Args:
        preset: one of ``PRESETS``, or ``timm:NAME`` for any network of timm.
        weights: path of the file, or a dict as
            :class:`luss.models.backbones.weights.WeightsEntry`, whose settings override those of
            the preset. Without a file, ``weights`` of the result is None. ``"hub"`` lets timm
            download its file, once.

    Raises:
        LussError: if the preset is unknown, a package that it needs is not installed, or a download
            fails.
    """
    found = find_preset(preset)
    if not is_installed(found.needs):
        raise LussError(
            f"backbone {preset!r} needs the package {found.needs}, which is not installed; run "
            f"pip install {found.needs} (see docs/stacks.md), or choose another of luss backbones"
        )
    given = dict(weights) if isinstance(weights, Mapping) else {"file": weights}
    if given.get("file") == "hub":
        given["file"] = str(_downloaded(preset, found))
    return {
        "backbone": found.backbone_config(),
        "weights": {**found.weights, **given} if given.get("file") else None,
        "mean": found.mean,
        "std": found.std,
        "multiple": found.multiple,
        "size": found.size,
        "in_index": found.in_index,
        "labels": found.labels,
    }


def _downloaded(name: str, preset: Preset) -> Path:
    if not name.startswith(TIMM_PREFIX):
        raise LussError(
            f"weights 'hub' are for {TIMM_PREFIX}NAME only, found backbone {name!r}; download "
            f"{preset.file} of {preset.source} and give its path"
        )
    return download_from_timm(name.removeprefix(TIMM_PREFIX))


def find_preset(name: str) -> Preset:
    """Return the preset of a name.

    Args:
        name: one of ``PRESETS``, or ``timm:NAME``.

    Raises:
        LussError: if it is unknown, or timm is needed to describe it and not installed.
    """
    if name.startswith(TIMM_PREFIX):
        return preset_of_timm(name.removeprefix(TIMM_PREFIX))
    if name not in PRESETS:
        raise LussError(
            f"unknown backbone {name!r}{nearest(name, PRESETS)} Run luss backbones for the list; "
            f"{TIMM_PREFIX}NAME is a network of timm"
        )
    return PRESETS[name]
