"""Settings of a preset, for configs."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict

from luss.config_files import OF_PRESETS
from luss.errors import LussError, nearest
from luss.models.backbones.presets.preset import Preset, is_installed
from luss.models.backbones.presets.table import PRESETS
from luss.models.backbones.presets.timm_networks import (
    TIMM_PREFIX,
    download_from_timm,
    preset_of_timm,
)
from luss.registry import FUNCTIONS

__all__ = ["backbone_settings", "expand_preset", "find_preset"]

_SIDES = ("short_side", "crop_size", "small_crop_size")
"""Settings at the top level that are sides of images in pixels."""


def backbone_settings(
    preset: str, weights: str | Mapping[str, Any] | None = None, **options: Any
) -> dict:
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
        **options: of the backbone, which replace those of the preset, such as ``out_indices``.

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
    if "out_indices" in options and "model_name" in found.backbone:
        # timm's networks ignore out_indices otherwise.
        options.setdefault("features_only", True)
    found = replace(found, backbone={**found.backbone, **options})
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


@FUNCTIONS.register_module()
def expand_preset(config: Mapping[str, Any], read: Collection[str], path: str) -> dict[str, Any]:
    """Return what ``backbone = dict(preset=NAME, weights=FILE)`` of a config stands for.

    The settings at the top level that follow the preset: ``backbone`` and ``weights``; of mean,
    std, view_std, multiple and in_index those that the config states; and its sides of images,
    rounded to the preset's multiple. Further keys of the entry replace options of the backbone,
    such as ``out_indices``, or one of these settings.

    Args:
        config: its top level. ``weights`` may stand there instead of in the entry.
        read: the settings at the top level that its stages read.
        path: of the config, for messages.

    Raises:
        LussError: if the preset is unknown, its file is missing, the entry contradicts another
            setting, or stages do not read a setting that the preset needs.
    """
    entry = {**config["backbone"]}
    name = entry.pop("preset")
    preset = find_preset(name)
    if "type" in entry:
        raise LussError(
            f"{path}: backbone has preset={name!r} and type={entry['type']!r}, expected one of "
            "them; remove one, or add _delete_=True to replace an inherited preset"
        )
    weights = _weights(name, preset, entry.pop("weights", None), config.get("weights"))
    own = {key: entry.pop(key) for key in OF_PRESETS if key in entry}
    found = backbone_settings(name, weights, **entry)
    values = {**found, "view_std": own.get("std", found["std"]), **own}
    needed = ["backbone", "weights", "mean", "std", *(["multiple"] if preset.multiple > 1 else [])]
    if missing := [key for key in needed if key not in read]:
        kind = "facts" if missing[0] == "weights" else "config"
        raise LussError(
            f"{path}: backbone.preset={name!r} sets {missing[0]}, but no stage refers to "
            f"${{{kind}.{missing[0]}}}; refer to it (see docs/weights.md), or choose a config that "
            "does, such as those of configs/pretrained/"
        )
    sides = {key: config[key] for key in _SIDES if isinstance(config.get(key), int)}
    multiple = values["multiple"] or 1
    return {
        "backbone": ConfigDict(found["backbone"]),
        "weights": ConfigDict(found["weights"]),
        **{key: values[key] for key in OF_PRESETS if key in read},
        **{key: max(1, round(side / multiple)) * multiple for key, side in sides.items()},
    }


def _weights(name: str, preset: Preset, own: Any, top: Any) -> Any:
    """Return the weights of an entry, or those at the top level, with an absolute path.

    Raises:
        LussError: if there are none or both, or the file is missing.
    """
    file = f"its file is {preset.file} of {preset.source}"
    if own and top and own != top:
        raise LussError(
            f"backbone.weights is {own!r} and weights is {top!r}, expected one of them; remove one"
        )
    if not (given := own or top):
        raise LussError(
            f"backbone {name!r} has no weights; give backbone.weights=FILE (luss train: --weights "
            f"FILE), {file}"
        )
    settings = dict(given) if isinstance(given, Mapping) else {"file": given}
    if settings.get("file") != "hub":
        found = Path(str(settings.get("file"))).expanduser().resolve()
        if not found.is_file():
            raise LussError(f"weights of backbone {name!r}: there is no file {found}; {file}")
        settings["file"] = str(found)
    return settings


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
