"""A preset of a small network, with a random file in its layout."""

import torch

from luss.models.backbones.presets import PRESETS, Preset
from luss.registry import MODELS

RESNET = {"type": "mmcls.ResNet", "depth": 18, "base_channels": 8, "stem_channels": 8}
VIT = {"embed_dims": 24, "num_layers": 2, "num_heads": 2, "feedforward_channels": 48}
NETWORKS = {
    "resnet": (RESNET | {"out_indices": [2, 3]}, "torchvision", 1),
    "vit": (
        {"type": "mmcls.VisionTransformer", "arch": VIT, "patch_size": 14, "img_size": 28},
        "openmmlab",
        14,
    ),
}


def add_small_preset(monkeypatch, kind, path):
    """Add a preset ``small`` of one of `NETWORKS`, and write its file; return the network."""
    network, layout, multiple = NETWORKS[kind]
    facts = {"network": "", "trained": "", "labels": None, "file": "f", "source": "s"}
    preset = Preset(
        backbone=network,
        weights={"layout": layout},
        licence="",
        multiple=multiple,
        mean=(0.1, 0.2, 0.3),
        **facts,
    )
    monkeypatch.setitem(PRESETS, "small", preset)
    torch.manual_seed(0)
    built = MODELS.build(preset.backbone_config())
    state = built.state_dict()
    if layout == "openmmlab":
        state = {"state_dict": {f"backbone.{name}": value for name, value in state.items()}}
    torch.save(state, path)
    # ResNet.train of mmcls returns nothing.
    built.eval()
    return built
