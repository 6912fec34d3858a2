"""A backbone on its own, of this project or of another library, with weights from a local file."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from luss.datasets.reproducible import seeded
from luss.engine.checkpoint import load
from luss.engine.pretrained import fill, take_pretrained
from luss.errors import LussError
from luss.registry import MODELS

__all__ = [
    "FeatureMap",
    "backbone_weights",
    "build_backbone",
    "last_feature_map",
    "load_backbone_weights",
]

_WRAPPERS = ("module.", "backbone.")
_SHOWN = 3


def build_backbone(
    config: dict, weights: str | Path | None, device: torch.device, seed: int
) -> nn.Module:
    """Build a backbone for evaluation.

    Args:
        config: of any model that gives feature maps, such as ``dict(type='mmcls.ResNet')``.
        weights: a checkpoint; None for random weights, which is said loudly.
        device: of the backbone.
        seed: of random weights.
    """
    init_default_scope("luss")
    with seeded(seed):
        backbone = MODELS.build(config)
        if weights is None:
            pretrained = take_pretrained(backbone)
            backbone.init_weights()
            fill(pretrained)
    if weights is None and not pretrained:
        print_log(
            f"NO WEIGHTS ARE LOADED: {config['type']} is random, and so will be its figures; add "
            "--cfg-options weights=FILE",
            "current",
            level=30,
        )
    elif weights is not None:
        load_backbone_weights(backbone, weights)
    backbone.to(device)
    # Not chained: train() of mmcls' backbones returns nothing.
    backbone.eval()
    return backbone


def backbone_weights(path: str | Path, wanted: set[str]) -> dict[str, Tensor]:
    """The weights of a backbone in a checkpoint, by the backbone's own names.

    The checkpoint may be that of a whole model, whose backbone is named ``backbone`` (OpenMMLab,
    luss), or of a bare network, whose further layers are passed over.

    Args:
        path: a file of tensors; code in it is never executed.
        wanted: names of the backbone's tensors.

    Raises:
        LussError: if any of them is missing, or the checkpoint's backbone has others.
    """
    content = load(path)
    tensors = content.get("state_dict", content.get("model", content))
    if not isinstance(tensors, dict):
        raise LussError(f"{path} has no weights by name; expected a dict, or one 'state_dict'")
    found = {key: value for key, value in tensors.items() if isinstance(value, Tensor)}
    named = False
    for wrapper in _WRAPPERS:
        below = {key: value for key, value in found.items() if key.startswith(wrapper)}
        if below:
            named = wrapper == "backbone."
            found = {key.removeprefix(wrapper): value for key, value in below.items()}
    # Checkpoints older than this counter of batch norm lack it; nothing here reads it.
    missing = {key for key in wanted - found.keys() if not key.endswith("num_batches_tracked")}
    surplus = found.keys() - wanted if named else set()
    if missing or surplus:
        raise LussError(
            f"{path} does not fit the backbone: {len(missing)} of its {len(wanted)} tensors are "
            f"missing ({_first(missing)}), {len(surplus)} belong to another one "
            f"({_first(surplus)}); the config must describe the backbone that was saved"
        )
    return {key: found[key] for key in wanted & found.keys()}


def load_backbone_weights(backbone: nn.Module, path: str | Path) -> None:
    """Fill a backbone from a checkpoint, all of it; see :func:`backbone_weights`.

    Raises:
        LussError: if it does not fit in name or shape.
    """
    own = backbone.state_dict()
    weights = backbone_weights(path, set(own))
    for key, value in weights.items():
        if value.shape != own[key].shape:
            raise LussError(
                f"{key} of {path} has shape {tuple(value.shape)}, the backbone expects "
                f"{tuple(own[key].shape)}; the config must describe the backbone that was saved"
            )
    backbone.load_state_dict(weights, strict=False)


def last_feature_map(outputs: Any) -> Tensor:
    """The last (N, L, h, w) among what a backbone returns.

    Args:
        outputs: a tensor, or a sequence of outputs from shallow to deep, each of which may be
            a feature map or a pair of it and a class token.

    Raises:
        LussError: if the last output is no feature map.
    """
    last = outputs
    while isinstance(last, Sequence) and last:
        # A pair (patches, class token), as vision transformers give it, has its map in front.
        pair = len(last) == 2 and getattr(last[1], "ndim", 0) == 2
        last = last[0] if pair else last[-1]
    if not isinstance(last, Tensor) or last.ndim != 4:
        found = tuple(last.shape) if isinstance(last, Tensor) else type(last).__name__
        raise LussError(
            f"the backbone's last output is {found}, expected a feature map (N, L, h, w); set its "
            "options so that it neither pools nor classifies (out_indices, "
            "gap_before_final_norm=False, output_cls_token=False), or name the layer to take"
        )
    return last


class FeatureMap:
    """From images (N, 3, H, W) to a backbone's feature map (N, L, h, w), float32.

    Args:
        backbone: in evaluation mode.
        layer: name of a module of the backbone whose output is the feature map, for backbones
            that pool and classify as well; by default the backbone's last output is.

    Raises:
        LussError: if the backbone has no such module.
    """

    def __init__(self, backbone: nn.Module, layer: str | None = None) -> None:
        self.backbone = backbone
        self.layer = layer
        self._seen: Any = None
        if layer is not None:
            modules = dict(backbone.named_modules())
            if layer not in modules:
                close = difflib.get_close_matches(layer, modules, n=3)
                raise LussError(
                    f"{type(backbone).__name__} has no module {layer!r}; "
                    f"{'close to it are ' + ', '.join(close) if close else 'its parts are '}"
                    f"{'' if close else ', '.join(name for name, _ in backbone.named_children())}"
                )
            modules[layer].register_forward_hook(self._keep)

    def __call__(self, images: Tensor) -> Tensor:
        """The feature map of images.

        Raises:
            LussError: if what the backbone gives is none.
        """
        outputs = self.backbone(images)
        if self.layer is not None:
            outputs, self._seen = self._seen, None
        return last_feature_map(outputs).float()

    def _keep(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
        self._seen = outputs


def _first(names: set[str]) -> str:
    return ", ".join(sorted(names)[:_SHOWN]) or "none"
