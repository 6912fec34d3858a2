"""Layers of real networks, and the rates that follow."""

from importlib.util import find_spec

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

import luss.models  # noqa: F401 - names of other libraries
from luss.engine.optimizers.layer_decay import layer_ids
from luss.errors import LussError
from luss.registry import MODELS


class Model(nn.Module):
    """A backbone by its usual name, and a head."""

    def __init__(self, backbone):
        super().__init__()
        init_default_scope("luss")
        self.backbone = MODELS.build(backbone)
        self.decode_head = nn.Conv2d(4, 3, 1)


def layers(backbone):
    names = [name for name, _ in Model(backbone).named_parameters()]
    return layer_ids(names)


def test_resnet50():
    """The stem is 0, the n-th block n, the head 17 (16 blocks), as in the authors' code."""
    found, last = layers({"type": "mmselfsup.ResNet", "depth": 50, "out_indices": (4,)})
    assert last == 17
    for name, layer in found.items():
        parts = name.split(".")
        if parts[0] == "decode_head":
            assert layer == 17
        elif parts[1] in ("conv1", "bn1"):
            assert layer == 0
        else:
            before = {"layer1": 0, "layer2": 3, "layer3": 7, "layer4": 13}[parts[1]]
            assert layer == before + int(parts[2]) + 1


@pytest.mark.parametrize(
    ("backbone", "expected", "last"),
    [
        (
            {"type": "mmcls.ConvNeXt", "arch": {"depths": [1, 2, 1, 1], "channels": [8] * 4}},
            {
                "downsample_layers.0.0.weight": 0,
                "stages.0.0.norm.weight": 1,
                "downsample_layers.1.1.weight": 2,
                "stages.1.1.norm.weight": 3,
                "stages.3.0.norm.weight": 5,
                "norm3.weight": 6,
            },
            6,
        ),
        (
            {"type": "mmcls.SwinTransformer", "arch": {
                "embed_dims": 8, "depths": [1, 2, 1, 1], "num_heads": [1, 1, 2, 2]}},
            {
                "patch_embed.projection.weight": 0,
                "stages.0.blocks.0.norm1.weight": 1,
                "stages.1.blocks.1.norm1.weight": 3,
                "stages.3.blocks.0.norm1.weight": 5,
                "norm3.weight": 6,
            },
            6,
        ),
        (
            {"type": "mmcls.VisionTransformer", "img_size": 32, "arch": {
                "embed_dims": 8, "num_layers": 3, "num_heads": 2, "feedforward_channels": 8}},
            {
                "cls_token": 0,
                "pos_embed": 0,
                "patch_embed.projection.weight": 0,
                "layers.2.ln1.weight": 3,
                "ln1.weight": 4,
            },
            4,
        ),
        (
            {"type": "mmseg.MixVisionTransformer", "embed_dims": 8, "num_layers": [2, 2, 2, 2],
             "num_heads": [1] * 4, "sr_ratios": [8, 4, 2, 1]},
            {
                "layers.0.0.projection.weight": 0,
                "layers.0.1.0.norm1.weight": 1,
                "layers.0.1.1.norm1.weight": 2,
                "layers.0.2.weight": 2,
                "layers.1.0.projection.weight": 3,
                "layers.1.1.0.norm1.weight": 3,
                "layers.3.1.1.ffn.layers.4.weight": 8,
                "layers.3.2.bias": 8,
            },
            9,
        ),
        (
            {"type": "mmcls.MobileNetV3", "arch": "small"},
            {
                "layer0.conv.weight": 0,
                "layer1.linear_conv.conv.weight": 1,
                "layer11.linear_conv.conv.weight": 11,
                "layer12.conv.weight": 12,
            },
            13,
        ),
    ],
)  # fmt: skip
def test_other_networks(backbone, expected, last):
    found, number = layers(backbone)
    assert number == last
    assert {name: found[f"backbone.{name}"] for name in expected} == expected
    assert found["decode_head.weight"] == last


def timm(name, **options):
    return {"type": "mmcls.TIMMBackbone", "model_name": name, **options}


@pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")
@pytest.mark.parametrize(
    ("backbone", "expected", "last"),
    [
        (
            timm("resnet18", features_only=True, out_indices=[3, 4]),
            {"conv1.weight": 0, "bn1.bias": 0, "layer1.1.bn1.weight": 2, "layer4.1.bn2.bias": 8},
            9,
        ),
        (
            timm("convnext_atto", features_only=True, out_indices=[2, 3]),
            {
                "stem_0.weight": 0,
                "stages_0.blocks.1.gamma": 2,
                "stages_1.downsample.1.weight": 3,
                "stages_1.blocks.0.conv_dw.weight": 3,
                "stages_3.blocks.1.conv_dw.weight": 12,
            },
            13,
        ),
        (
            timm("swin_tiny_patch4_window7_224", features_only=True, out_indices=[2, 3]),
            {
                "patch_embed.proj.weight": 0,
                "layers_0.blocks.1.norm1.weight": 2,
                "layers_1.downsample.norm.weight": 3,
                "layers_3.blocks.1.attn.qkv.weight": 12,
            },
            13,
        ),
        (
            {**timm("tf_efficientnet_lite0", out_indices=[3, 4]), "type": "TIMMFeatures"},
            {
                "conv_stem.weight": 0,
                "bn1.weight": 0,
                "blocks.0.0.conv_dw.weight": 1,
                "blocks.1.1.conv_pw.weight": 3,
                "blocks.6.0.bn3.bias": 16,
                "conv_head.weight": 17,
                "bn2.bias": 17,
            },
            17,
        ),
        (
            {"type": "DINOv3VisionTransformer", "model_name": "vit_tiny_patch16_dinov3_qkvb"},
            {
                "cls_token": 0,
                "reg_token": 0,
                "patch_embed.proj.bias": 0,
                "blocks.0.gamma_1": 1,
                "blocks.11.attn.q_bias": 12,
                "norm.weight": 13,
            },
            13,
        ),
    ],
)
def test_networks_of_timm(backbone, expected, last):
    found, number = layers(backbone)
    assert number == last
    assert {name: found[f"backbone.timm_model.{name}"] for name in expected} == expected
    assert found["decode_head.weight"] == last


def test_names_that_cannot_be_placed_are_refused():
    names = ["backbone.layer1.0.conv.weight", "backbone.middle.weight", "decode_head.weight"]
    with pytest.raises(LussError, match=r"the block of backbone\.middle\.weight"):
        layer_ids(names)


def build(model, layer_decay=0.4, **paramwise):
    return build_optim_wrapper(
        model,
        {
            "constructor": "LayerDecayOptimWrapperConstructor",
            "paramwise_cfg": {"layer_decay": layer_decay, **paramwise},
            "optimizer": {"type": "AdamW", "lr": 0.5, "weight_decay": 0.03},
        },
    )


def test_rates_and_decay_of_each_parameter():
    model = Model({"type": "mmselfsup.ResNet", "depth": 18, "base_channels": 8, "stem_channels": 8})
    model.backbone.conv1.weight.requires_grad = False
    # Not the wrapper's own groups: MMEngine adds one to them, to log the base rate.
    groups = build(model).optimizer.param_groups
    group_of = {id(parameter): group for group in groups for parameter in group["params"]}
    found, last = layer_ids(name for name, _ in model.named_parameters())
    assert last == 9
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    assert len(group_of) == len(trained)
    for name, parameter in trained:
        group = group_of[id(parameter)]
        assert group["lr"] == pytest.approx(0.5 * 0.4 ** (9 - found[name]))
        assert group["weight_decay"] == (0.0 if parameter.ndim == 1 else 0.03)


def test_a_factor_for_the_backbone_alone():
    model = Model({"type": "mmcls.ResNet", "depth": 18, "base_channels": 8, "stem_channels": 8})
    rates = []
    for settings in ({}, {"backbone_lr_mult": 0.01}):
        groups = build(model, **settings).optimizer.param_groups
        rates.append({id(p): group["lr"] for group in groups for p in group["params"]})
    for name, parameter in model.named_parameters():
        factor = 0.01 if name.startswith("backbone.") else 1
        assert rates[1][id(parameter)] == pytest.approx(factor * rates[0][id(parameter)]), name
    with pytest.raises(LussError, match="backbone_lr_mult is 0"):
        build(model, backbone_lr_mult=0)


def test_positions_and_tokens_do_not_decay():
    model = Model({"type": "mmcls.VisionTransformer", "img_size": 32, "arch": {
        "embed_dims": 8, "num_layers": 1, "num_heads": 2, "feedforward_channels": 8}})  # fmt: skip
    for group in build(model).optimizer.param_groups:
        for parameter in group["params"]:
            token = parameter is model.backbone.cls_token or parameter is model.backbone.pos_embed
            assert group["weight_decay"] == (0.0 if token or parameter.ndim == 1 else 0.03)


def test_bad_settings():
    model = nn.ModuleDict({"backbone": nn.Sequential(nn.Linear(2, 2))})
    with pytest.raises(LussError, match="found no blocks"):
        build(model)
    for decay in (0, 1.5, "0.4", None):
        with pytest.raises(LussError, match="layer_decay"):
            build(model, decay)
    with pytest.raises(LussError, match="expected dict\\(layer_decay=NUMBER\\)"):
        build(model, norm_decay_mult=0.0)


def test_without_decay_all_layers_have_one_rate():
    model = Model({"type": "mmselfsup.ResNet", "depth": 18, "base_channels": 8, "stem_channels": 8})
    assert {group["lr"] for group in build(model, 1).optimizer.param_groups} == {0.5}
    assert isinstance(build(model, 1).optimizer, torch.optim.AdamW)
    # No names of blocks are needed.
    model = Model({"type": "mmcls.VGG", "depth": 11})
    with pytest.raises(LussError, match="layer_decay=1"):
        build(model)
    groups = build(model, 1, backbone_lr_mult=0.1).optimizer.param_groups
    assert {group["lr"] for group in groups} == {0.05, 0.5}
