"""Presets of timm's networks, described by timm."""

from functools import cache
from pathlib import Path
from typing import Any

import torch

from luss.errors import LussError, nearest
from luss.files import atomic_write
from luss.models.backbones.feature_maps import patch_side
from luss.models.backbones.presets.preset import Preset, is_installed, without_memory

__all__ = ["TIMM_PREFIX", "download_from_timm", "preset_of_timm", "timm_names_in"]

TIMM_PREFIX = "timm:"
"""Prefix of the presets of timm's networks, as in ``timm:resnet18``."""

_ANY_SIZE: tuple[dict[str, bool], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False})
"""Options of timm's transformers for images of any size."""


@cache
def preset_of_timm(name: str) -> Preset:
    """Return the preset of a network of timm.

    Transformers with one stride return the normalised tokens of their last block, other networks
    the maps of their last two stages. Networks that widen the last map before they pool it return
    the wider one as well.

    Args:
        name: of the network, with or without the tag of its weights.

    Raises:
        LussError: if timm is not installed or has no such network.
    """
    if not is_installed("timm"):
        raise LussError(
            f"backbone {TIMM_PREFIX + name!r} needs the package timm, which is not installed; run "
            "pip install timm (see docs/stacks.md), or choose another of luss backbones"
        )
    import timm

    if not timm.is_model(name):
        raise LussError(f"timm {timm.__version__} has no network {name!r}{_nearest(name)}")
    facts = timm.get_pretrained_cfg(name)
    options, multiple = _options(name)
    return Preset(
        network=name,
        backbone={"type": "mmcls.TIMMBackbone", **options, "model_name": name},
        weights={"layout": "timm"},
        trained=facts.tag or "unknown",
        labels=None,
        file=(facts.url or "").rpartition("/")[2] or facts.hf_hub_id or "unknown",
        source="timm",
        licence=facts.license or "unknown",
        size=facts.input_size[-1],
        multiple=multiple,
        mean=tuple(facts.mean),
        std=tuple(facts.std),
        needs="timm",
    )


def timm_names_in(text: str) -> list[str]:
    """Return timm's networks whose names occur in a text, and their variants of TensorFlow.

    Returns:
        Names, longest first; none without timm.
    """
    if not is_installed("timm"):
        return []
    import timm

    text = text.replace("-", "_")
    found = [name for name in timm.list_models() if name.removeprefix("tf_") in text]
    return sorted(found, key=len, reverse=True)


def download_from_timm(name: str) -> Path:
    """Return the file of a network's weights, downloaded by timm if it is not there yet.

    It lies in PyTorch's folder of downloads (``TORCH_HOME``).

    Args:
        name: of the network, with or without the tag of its weights.

    Raises:
        LussError: if timm has no weights of it, or the download fails.
    """
    import timm

    preset_of_timm(name)
    facts = timm.get_pretrained_cfg(name)
    path = Path(torch.hub.get_dir()) / "luss" / f"{facts.architecture}.{facts.tag}.pth"
    if not path.is_file():
        try:
            network = timm.create_model(name, pretrained=True)
        # Networks without weights, and all kinds of failures of a connection.
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise LussError(
                f"timm could not get the weights of {name!r} ({type(error).__name__}: {reason}); "
                "check the connection, or download a file and give its path"
            ) from error
        with atomic_write(path) as file:
            torch.save(network.state_dict(), file)
    return path


def _nearest(name: str) -> str:
    import timm

    return nearest(name, timm.list_models())


def _options(name: str) -> tuple[dict[str, Any], int]:
    """Return the options of a network, and the number that divides the sides of its images."""
    try:
        network, size = _any_size(name, features_only=True)
    # Networks without feature maps raise several kinds of exceptions.
    except Exception:
        strides = [1, 1]
    else:
        strides = network.feature_info.reduction()
    if len(strides) > 1 and strides[-1] == strides[-2]:
        network, size = _any_size(name)
        return size, strides[-1] if strides[-1] > 1 else max(patch_side(network) or (1,))
    # Networks that cut images into patches drop or pad the rest.
    multiple = strides[-1] if patch_side(network) else 1
    options = {"out_indices": list(range(len(strides)))[-2:], **size}
    if _widens(name):
        return {"type": "TIMMFeatures", **options}, multiple
    return {"features_only": True, **options}, multiple


def _widens(name: str) -> bool:
    """Return whether a network pools a map with more channels than that of its last stage."""
    network, _ = _any_size(name)
    stages = getattr(network, "feature_info", None)
    if not stages or not hasattr(network, "forward_intermediates"):
        return False
    return network.num_features > stages[-1]["num_chs"]


def _any_size(name: str, **options: Any) -> tuple[Any, dict[str, bool]]:
    """Build a network for images of any size if it has an option for them."""
    import timm

    for size in _ANY_SIZE:
        try:
            with without_memory():
                return timm.create_model(name, **options, **size), size
        # The network has no such option.
        except TypeError:
            continue
    with without_memory():
        return timm.create_model(name, **options), {}
