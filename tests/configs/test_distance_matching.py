"""The configs of table 14: each backbone is the published network, its figure the table's."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from luss.configuration import read_config
from luss.models.backbones import FeatureMap
from luss.registry import MODELS

FOLDER = Path(__file__).parents[2] / "configs" / "distance_matching"


class Network(NamedTuple):
    """A row of table 14, and the network's published size."""

    name: str
    miou: float | None  # test mIoU in percent, table 14; none if it is another network's
    channels: int  # of the last feature map
    millions: float  # parameters with a classifier of 1000 classes, as torchvision and timm have it


NETWORKS = {
    "resnet50": Network("ResNet-50", 29.8, 2048, 25.56),
    "resnet101": Network("ResNet-101", 31.4, 2048, 44.55),
    "densenet161": Network("DenseNet-161", 29.8, 2208, 28.68),
    # With its own classifier, but without the auxiliary one (torchvision: 27.16 with both).
    "inception_v3": Network("Inception V3", 29.9, 2048, 23.83),
    "resnext50": Network("ResNeXt-50 (32x4d)", 32.6, 2048, 25.03),
    "resnext101": Network("ResNeXt-101 (32x8d)", 34.8, 2048, 88.79),
    "efficientnet_b3": Network("EfficientNet-B3", 32.3, 1536, 12.23),
    "res2net50": Network("Res2Net-50 (26w, 4s)", 35.7, 2048, 25.70),
    "res2net101": Network("Res2Net-101 (26w, 4s)", 37.2, 2048, 45.21),
    "swin_s": Network("Swin-S", 38.6, 768, 49.61),
    "swin_b": Network("Swin-B", 38.2, 1024, 87.77),
    # 45.1 is starred: fine-tuned on train-semi.
    "convnext_t": Network("ConvNeXt-T", None, 768, 28.59),
}


def test_every_config_is_in_the_table():
    assert {path.stem for path in FOLDER.glob("*.py")} == NETWORKS.keys()


@pytest.mark.parametrize("stem", NETWORKS)
def test_the_quoted_figure_is_that_of_table_14(stem):
    text = (FOLDER / f"{stem}.py").read_text()
    network = NETWORKS[stem]
    if network.miou is None:
        assert "no published" in text
    else:
        assert text.startswith(
            f"# Table 14, {network.name}: test mIoU {network.miou} on ImageNet-S.\n"
        )
        assert re.findall(r"\d\d\.\d", text) == [str(network.miou)]


@pytest.mark.parametrize("stem", NETWORKS)
def test_the_backbone_is_the_published_network(stem):
    network = NETWORKS[stem]
    model = read_config(FOLDER / f"{stem}.py").stages.distance_matching.model
    init_default_scope("luss")
    backbone = MODELS.build(dict(model.backbone))
    # Not chained: train() of mmcls' backbones returns nothing.
    backbone.eval()
    # Swin's windows need a map of at least 7 x 7.
    height, width = (224, 256) if "swin" in stem else (96, 128)
    with torch.no_grad():
        features = FeatureMap(backbone, model.get("layer"))(torch.zeros(1, 3, height, width))
    # A thirty-second of the image; Inception has no padding.
    size = (1, 2) if stem == "inception_v3" else (height // 32, width // 32)
    assert features.shape == (1, network.channels, *size)
    # None of the later variants, which pool where a block is narrowed.
    narrowing = {name: part for name, part in backbone.named_modules() if ".downsample." in name}
    assert not [name for name, part in narrowing.items() if isinstance(part, nn.AvgPool2d)]
    count = sum(parameter.numel() for parameter in backbone.parameters())
    if stem != "inception_v3":
        count += 1000 * network.channels + 1000
    assert round(count / 1e6, 2) == network.millions
