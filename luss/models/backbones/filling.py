"""Load a checkpoint into a module: compare, resize and copy its tensors.

Both ``weights=`` and ``init_cfg=dict(type='Pretrained')`` of all configs use it.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from luss.compat import scipy_with_interp2d
from luss.errors import LussError
from luss.models.backbones.layouts import LAYOUTS
from luss.models.backbones.picking import pick, share_of_matches
from luss.models.backbones.weights import WeightsEntry

__all__ = ["fill_from", "load_tensors"]

_SHOWN = 3


def fill_from(module: nn.Module, content: Mapping, entry: WeightsEntry) -> None:
    """Load a checkpoint's tensors into a module, all or nothing.

    Args:
        module: such as a backbone.
        content: of the file.
        entry: file and layout.

    Raises:
        LussError: see :func:`pick` and :func:`load_tensors`.
    """
    wanted = module.state_dict()
    try:
        found = pick(content, entry, wanted, type(module).__name__)
    except LussError as error:
        raise LussError(f"{error}{_other_layouts(content, entry, wanted)}") from error
    _compare_heads(module, entry)
    _compare_positions(module, entry)
    load_tensors(module, found, entry.file)


def _other_layouts(content: Mapping, entry: WeightsEntry, wanted: Mapping[str, Tensor]) -> str:
    """Return a sentence on the layouts by which a file fits; empty if there are none."""
    fitting = [
        repr(name)
        for name in LAYOUTS
        if share_of_matches(content, replace(entry, layout=name), wanted) == 1
    ]
    return f". It fits as layout {' or '.join(fitting[:_SHOWN])}" if fitting else ""


def _compare_heads(module: nn.Module, entry: WeightsEntry) -> None:
    """Check the number of attention heads, which no tensor's shape depends on."""
    width = _width_of_positions(module)
    expected = None if width is None else entry.rules.heads.get(width)
    own = next((getattr(part, "num_heads", None) for part in _attention(module)), None)
    if expected is not None and own is not None and own != expected:
        raise LussError(
            f"{entry.file}: vision transformers of layout {entry.layout!r} and width {width} have "
            f"{expected} heads, but {type(module).__name__} has {own}, which would change its "
            f"output; set arch to a dict with num_heads={expected}"
        )


def _compare_positions(module: nn.Module, entry: WeightsEntry) -> None:
    offset, own = entry.rules.position_offset, getattr(module, "interpolate_offset", 0.0)
    if offset is not None and own != offset and _width_of_positions(module):
        print_log(
            f"{entry.file}: {type(module).__name__} and models of layout {entry.layout!r} resize "
            "position embeddings differently, so outputs differ at other image sizes than that of "
            "the file; use type='DINOVisionTransformer' or type='LayerScaleVisionTransformer' with "
            f"interpolate_offset={offset}",
            "current",
            level=logging.WARNING,
        )


def _attention(module: nn.Module) -> Iterable[nn.Module]:
    return (part for part in module.modules() if isinstance(getattr(part, "num_heads", None), int))


def _width_of_positions(module: nn.Module) -> int | None:
    """Return the width of a vision transformer's position embeddings; None if it has none."""
    positions = getattr(module, "pos_embed", None)
    return positions.shape[-1] if isinstance(positions, Tensor) and positions.ndim == 3 else None


def load_tensors(module: nn.Module, weights: Mapping[str, Tensor], path: str) -> None:
    """Copy tensors into a module, all or nothing; it resizes position embeddings by its own rule.

    Args:
        module: the target.
        weights: from :func:`pick`.
        path: for messages.

    Raises:
        LussError: if shapes differ.
    """
    before = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        # Hooks of mmcls' transformers resize position embeddings.
        with scipy_with_interp2d():
            module.load_state_dict(_resized(module, dict(weights), before), strict=False)
    # The resizing rules raise any kind of exception.
    except Exception as error:
        module.load_state_dict(before)
        other = [
            name
            for name, value in weights.items()
            if value.is_floating_point() and value.shape != before[name].shape
        ]
        if not other:
            raise
        name, reason = sorted(other)[0], str(error).strip().partition("\n")[0]
        if reason.startswith("Error(s) in loading state_dict"):
            reason = "no rule for this tensor"
        raise LussError(
            f"{name} of {path} has shape {tuple(weights[name].shape)}, "
            f"{type(module).__name__} expects {tuple(before[name].shape)} and cannot resize it "
            f"({reason}). Set the backbone to the saved network, including its image and window "
            "sizes"
        ) from error


def _resized(
    backbone: nn.Module, weights: dict[str, Tensor], own: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Resize position embeddings by the methods of mmseg's transformers."""
    resize_biases = getattr(backbone, "resize_rel_pos_embed", None)
    if resize_biases is not None:
        weights = resize_biases(weights)
    position = weights.get("pos_embed")
    rule = getattr(backbone, "resize_pos_embed", None)
    # Loading hooks resize those of mmcls' transformers.
    if position is None or rule is None or hasattr(backbone, "_prepare_pos_embed"):
        return weights
    if position.ndim == 3 and position.shape != own["pos_embed"].shape:
        side = round((position.shape[1] - 1) ** 0.5)
        own_size: Any = backbone.img_size
        height, width = (length // backbone.patch_size for length in own_size)
        mode = backbone.interpolate_mode
        weights["pos_embed"] = rule(position, (height, width), (side, side), mode)
    return weights
