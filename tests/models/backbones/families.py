"""Families of backbones, each as narrow as it can be. A name added here is tested everywhere."""

from dataclasses import dataclass

_VIT = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 16}
_NARROW = {"stem_channels": 8, "base_channels": 8}
_SWIN = {"embed_dims": 8, "depths": [1] * 4, "num_heads": [1, 1, 2, 2]}
_PLAIN_VIT = {"embed_dims": 16, "num_layers": 2, "num_heads": 2}


@dataclass(frozen=True)
class Family:
    """A backbone.

    Attributes:
        backbone: its config.
        sides: of the images in pixels, large and small crops.
        needs: an optional library.
    """

    backbone: dict
    sides: tuple[int, int] = (64, 32)
    needs: str | None = None


FAMILIES = {
    "resnet": Family({"type": "mmselfsup.ResNet", "depth": 18, "out_indices": (3, 4), **_NARROW}),
    "mmcls resnet": Family(
        {"type": "mmcls.ResNet", "depth": 18, "out_indices": (2, 3), **_NARROW}
    ),
    "mmseg resnet": Family(
        {"type": "mmseg.ResNetV1c", "depth": 18, "out_indices": (2, 3), **_NARROW}
    ),
    "resnext": Family(
        {"type": "mmcls.ResNeXt", "depth": 50, "groups": 4, "width_per_group": 4,
         "out_indices": (2, 3), **_NARROW},
    ),
    "mmselfsup resnext": Family(
        {"type": "mmselfsup.ResNeXt", "depth": 50, "groups": 4, "width_per_group": 4,
         "out_indices": (3, 4), **_NARROW},
    ),
    "resnest": Family(
        {"type": "mmcls.ResNeSt", "depth": 50, "out_indices": (2, 3), **_NARROW}
    ),
    "mmseg resnest": Family(
        {"type": "mmseg.ResNeSt", "depth": 50, "out_indices": (2, 3), **_NARROW}
    ),
    "convnext": Family(
        {"type": "mmcls.ConvNeXt", "arch": {"depths": [1] * 4, "channels": [8, 16, 24, 32]},
         "out_indices": (2, 3), "gap_before_final_norm": False}
    ),
    "swin": Family(
        {"type": "mmcls.SwinTransformer", "arch": _SWIN, "out_indices": (2, 3),
         "pad_small_map": True}
    ),
    "swin v2": Family(
        {"type": "mmcls.SwinTransformerV2",
         "arch": {**_SWIN, "extra_norm_every_n_blocks": 0}, "window_size": 8,
         "out_indices": (2, 3), "pad_small_map": True},
    ),
    "mmseg swin": Family(
        {"type": "mmseg.SwinTransformer", **_SWIN, "out_indices": (2, 3)}
    ),
    "mit": Family(
        {"type": "mmseg.MixVisionTransformer", "embed_dims": 8, "num_layers": [1] * 4,
         "num_heads": [1, 1, 2, 2], "sr_ratios": [8, 4, 2, 1], "out_indices": (2, 3)}
    ),
    "mobilenet v3": Family({"type": "mmcls.MobileNetV3", "arch": "small", "out_indices": (8, 12)}),
    "mmseg mobilenet v3": Family(
        {"type": "mmseg.MobileNetV3", "arch": "small", "out_indices": (8, 12)}
    ),
    "vit with class token": Family(
        {"type": "mmcls.VisionTransformer", "arch": _VIT, "img_size": 32, "patch_size": 8,
         "out_indices": [0, 1]}
    ),
    "vit without class token": Family(
        {"type": "mmcls.VisionTransformer", "arch": _VIT, "img_size": 32, "patch_size": 8,
         "out_indices": [0, 1], "output_cls_token": False}
    ),
    "vit with layer scale": Family(
        {"type": "LayerScaleVisionTransformer", "arch": _VIT, "img_size": 32, "patch_size": 8}
    ),
    "vit with registers": Family(
        {"type": "LayerScaleVisionTransformer", "arch": _VIT, "img_size": 32, "patch_size": 8,
         "num_registers": 2, "interpolate_offset": 0.0, "antialias": True}
    ),
    "dinov3": Family(
        {"type": "DINOv3VisionTransformer", "model_name": "vit_tiny_patch16_dinov3_qkvb"},
        needs="timm",
    ),
    "mmseg vit": Family(
        {"type": "mmseg.VisionTransformer", "img_size": 32, "patch_size": 8, **_PLAIN_VIT,
         "out_indices": (0, 1)},
    ),
    "deit": Family(
        {"type": "mmcls.DistilledVisionTransformer", "arch": _VIT, "img_size": 32,
         "patch_size": 8},
    ),
    "beit of any size": Family(
        {"type": "AnySizeBEiT", "arch": _VIT, "img_size": 32, "patch_size": 8,
         "out_indices": [0, 1]}
    ),
    # Its position biases are those of one size.
    "beit": Family(
        {"type": "mmseg.BEiT", "img_size": 32, "patch_size": 8, **_PLAIN_VIT,
         "out_indices": (0, 1)},
        sides=(32, 32),
    ),
    "mmcls beit": Family(
        {"type": "mmcls.BEiT", "arch": _VIT, "img_size": 32, "patch_size": 8,
         "out_indices": [0, 1], "avg_token": False, "output_cls_token": False},
        sides=(32, 32),
    ),
    "timm resnet": Family(
        {"type": "mmcls.TIMMBackbone", "model_name": "resnet18", "features_only": True,
         "out_indices": (3, 4)},
        needs="timm",
    ),
    "timm vit": Family(
        {"type": "mmcls.TIMMBackbone", "model_name": "vit_tiny_patch16_224"},
        sides=(224, 224),
        needs="timm",
    ),
    "mmpretrain vit": Family(
        {"type": "mmpretrain.VisionTransformer", "arch": _VIT, "img_size": 32, "patch_size": 8,
         "out_type": "featmap"},
        needs="mmpretrain",
    ),
}  # fmt: skip
