"""Learning rates that fall from layer to layer towards the input (BEiT; Clark et al., 2020).

mmselfsup's constructor supports ViT, Swin and MixMIM, mmseg's ConvNeXt, BEiT and MAE; neither
supports ResNet, or disables weight decay only for one-dimensional parameters. This one derives
blocks from names of parameters of ResNet, ViT, Swin, ConvNeXt, MiT and MobileNet of OpenMMLab, and
of timm's ResNet, ViT, Swin, ConvNeXt and EfficientNet, and rejects other names.
"""

import re
from collections.abc import Iterable

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from luss.errors import LussError
from luss.registry import OPTIM_WRAPPER_CONSTRUCTORS

__all__ = ["LayerDecayOptimWrapperConstructor", "layer_ids"]

_BLOCK = re.compile(
    r"backbone\.(?:layer(?P<resnet>\d+)\.(?P<unit>\d+)"
    r"|layer(?P<mobile>[1-9]\d*)"
    r"|stages\.(?P<stage>\d+)\.(?:blocks\.)?(?P<block>\d+)"
    r"|layers\.(?P<mit>\d+)\.1\.(?P<inner>\d+)"
    r"|layers\.(?P<layer>\d+)(?:\.(?P<part>\d+))?)\."
)
# ConvNeXt and MiT shrink before a stage, Swin after one.
_BEFORE_STAGE = re.compile(r"backbone\.downsample_layers\.(?P<stage>\d+)\.")
_AFTER_STAGE = re.compile(r"backbone\.stages\.(?P<stage>\d+)\.downsample\.")
_MIT_BEFORE = re.compile(r"backbone\.layers\.(?P<stage>\d+)\.0\.")
_MIT_AFTER = re.compile(r"backbone\.layers\.(?P<stage>\d+)\.2\.")
_STEM = re.compile(
    r"backbone\.(?:stem|conv1|layer0|register_tokens|[bg]n1|patch_embed|cls_token|mask_token|pos_embed|"
    r"absolute_pos_embed|downsample_layers\.0)(?:\.|$)"
)
# From timm's names to those above. Its networks shrink before a stage.
_TIMM = "backbone.timm_model."
_OF_TIMM = (
    (r"^backbone\.timm_model\.(?:model\.|body\.)?", "backbone."),
    # Feature wrappers flatten some parts.
    (r"^backbone\.(stem|stages|layers|blocks|patch_embed)_(\w+)\.", r"backbone.\1.\2."),
    (r"^backbone\.(?:stages|layers)\.(\d+)\.downsample\.", r"backbone.downsample_layers.\1."),
    (r"^backbone\.layers\.(\d+)\.blocks\.", r"backbone.stages.\1.blocks."),
    (r"^backbone\.blocks\.(\d+)\.(\d+)\.", r"backbone.stages.\1.\2."),
    (r"^backbone\.blocks\.(\d+)\.", r"backbone.layers.\1."),
    (r"^backbone\.(?:conv_stem|norm_pre|reg_token)\b", "backbone.stem"),
)
_BEHIND = re.compile(r"backbone\.(?:fc_norm|norm|ln|conv_head|conv|bn)\d*\.")
_OTHERS = "For other backbones, set optim_wrapper.paramwise_cfg.layer_decay=1 of the stage"
_NEVER_DECAYED = (
    "cls_token",
    "register_tokens",
    "reg_token",
    "mask_token",
    "pos_embed",
    "absolute_pos_embed",
)


def layer_ids(names: Iterable[str]) -> tuple[dict[str, int], int]:
    """Return the layer of each parameter, by its name.

    Args:
        names: of all parameters; those of the backbone begin with ``backbone.``.

    Returns:
        Layer of each parameter, and the number of the last layer, B + 1 for B residual blocks.
        The stem is layer 0, block b layer b, all behind the blocks (the head, last norms) B + 1.

    Raises:
        LussError: if no block can be found, or the place of a backbone's parameter.
    """
    given = list(names)
    names = [_without_timm(name) for name in given]
    of_mit = any((match := _BLOCK.match(name)) and match["mit"] for name in names)
    between = (_MIT_BEFORE, _MIT_AFTER) if of_mit else (_BEFORE_STAGE, _AFTER_STAGE)
    place = {
        name: found
        for name in names
        if not any(pattern.match(name) for pattern in between)
        and (found := _place(name)) is not None
    }
    blocks = {key: number for number, key in enumerate(sorted(set(place.values())), start=1)}
    if not blocks:
        raise LussError(
            "layer-wise decay found no blocks: the names of the backbone's parameters should "
            "begin with backbone.layer1.0. (ResNet), backbone.layers.0. (ViT) or "
            "backbone.stages.0.0. (ConvNeXt), backbone.stages.0.blocks.0. (Swin); they begin with "
            f"{sorted({'.'.join(name.split('.')[:3]) for name in names})[:5]}. {_OTHERS}"
        )
    last = len(blocks) + 1
    of_stage: dict[int, list[int]] = {}
    for (stage, _), number in blocks.items():
        of_stage.setdefault(stage, []).append(number)

    def layer_of(name: str) -> int:
        if name in place:
            return blocks[place[name]]
        if _STEM.match(name):
            return 0
        if before := between[0].match(name):
            first = of_mit and before["stage"] == "0"
            return 0 if first else min(of_stage[int(before["stage"])])
        if after := between[1].match(name):
            return max(of_stage[int(after["stage"])])
        if name.startswith("backbone.") and not _BEHIND.match(name):
            raise LussError(
                f"layer-wise decay does not know the block of {name}; it supports ResNet, ViT, "
                "ConvNeXt, Swin, MiT and MobileNet of OpenMMLab, and ResNet, ViT, ConvNeXt, Swin "
                f"and EfficientNet of timm. {_OTHERS}"
            )
        return last

    return {old: layer_of(name) for old, name in zip(given, names, strict=True)}, last


def _without_timm(name: str) -> str:
    """Return the name that OpenMMLab gives the same part of a network of timm."""
    if name.startswith(_TIMM):
        for pattern, text in _OF_TIMM:
            name = re.sub(pattern, text, name)
    return name


def _place(name: str) -> tuple[int, int] | None:
    """Stage and block of a parameter; None outside the blocks."""
    match = _BLOCK.match(name)
    if match is None:
        return None
    for stage, block in (("resnet", "unit"), ("stage", "block"), ("mit", "inner")):
        if match[stage]:
            return int(match[stage]), int(match[block])
    if match["mobile"]:
        return 0, int(match["mobile"])
    # A vision transformer's layers are its blocks; EfficientNet's hold some each.
    return int(match["layer"]), int(match["part"] or 0)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Gives layer i of n the rate lr * decay ** (n - i); one-dimensional parameters do not decay.

    The last layer n is what lies behind the backbone's blocks, see :func:`layer_ids`. Neither do
    the embeddings of positions and class tokens decay. Schedulers keep the groups' ratios if they
    end at a ratio (``eta_min_ratio``) rather than at a rate.

    ``paramwise_cfg=dict(layer_decay=0.4)``, a number in (0, 1]; 1 for backbones of any kind. With
    ``backbone_lr_mult``, above 0, all rates of the backbone are multiplied by it, for heads that
    start from zero on the features of a pretrained backbone.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        settings = dict(paramwise_cfg or {})
        self.layer_decay = settings.pop("layer_decay", None)
        self.backbone_lr_mult = settings.pop("backbone_lr_mult", 1.0)
        if settings or not isinstance(self.layer_decay, int | float):
            raise LussError(
                f"paramwise_cfg is {dict(paramwise_cfg or {})}, expected dict(layer_decay=NUMBER) "
                "for LayerDecayOptimWrapperConstructor"
            )
        if not 0 < self.layer_decay <= 1:
            raise LussError(f"layer_decay is {self.layer_decay}, expected a number in (0, 1]")
        if not self.backbone_lr_mult > 0:
            raise LussError(
                f"backbone_lr_mult is {self.backbone_lr_mult}, expected a number above 0"
            )
        super().__init__(optim_wrapper_cfg, None)
        # MMEngine makes groups only where there is something to set by parameter.
        self.paramwise_cfg = {"layer_decay": self.layer_decay}

    def add_params(self, params: list[dict], module: nn.Module, **kwargs) -> None:
        """Add a group for each layer and weight decay, from the input on.

        Raises:
            LussError: if the optimizer has no rate of its own.
        """
        if self.base_lr is None:
            raise LussError("layer-wise decay needs optimizer.lr")
        trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        layers, last = dict.fromkeys(trained, 0), 0
        if self.layer_decay < 1:
            layers, last = layer_ids(trained)
        groups: dict[tuple[int, float, bool], dict] = {}
        for name, parameter in trained.items():
            layer = layers[name]
            decays = parameter.ndim > 1 and name.split(".")[-1] not in _NEVER_DECAYED
            own = self.backbone_lr_mult if name.startswith("backbone.") else 1.0
            key = (layer, own, decays)
            if key not in groups:
                groups[key] = {
                    "params": [],
                    "lr": self.base_lr * own * self.layer_decay ** (last - layer),
                    "weight_decay": (self.base_wd or 0.0) if decays else 0.0,
                }
            groups[key]["params"].append(parameter)
        params.extend(groups[key] for key in sorted(groups))
