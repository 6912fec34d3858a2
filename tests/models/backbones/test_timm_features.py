"""The final features of timm's networks, against timm itself."""

import pytest
import torch

from luss.errors import LussError
from luss.models.backbones.presets import backbone_settings
from luss.registry import MODELS

timm = pytest.importorskip("timm")


def build(**options):
    backbone = MODELS.build({"type": "TIMMFeatures", **options})
    # OpenMMLab's returns None.
    backbone.eval()
    return backbone


@torch.no_grad()
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "mobilenetv2_050"])
def test_the_last_map_is_what_the_network_pools(name):
    torch.manual_seed(0)
    backbone = build(model_name=name, out_indices=[3, 4])
    images = torch.randn(2, 3, 64, 96)
    *stages, final = backbone(images)
    network = timm.create_model(name, features_only=True, out_indices=[3, 4]).eval()
    network.load_state_dict(backbone.timm_model.state_dict(), strict=False)
    for found, expected in zip(stages, network(images), strict=True):
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(final, backbone.timm_model.forward_features(images))
    assert final.shape == (2, 1280, 2, 3)


def test_presets_use_it_where_the_last_map_is_widened():
    types = {
        "efficientnet_lite0": "TIMMFeatures",
        "timm:tf_efficientnet_lite0": "TIMMFeatures",
        "timm:mobilenetv3_small_050": "mmcls.TIMMBackbone",
        "timm:resnet18": "mmcls.TIMMBackbone",
    }
    found = {name: backbone_settings(name)["backbone"] for name in types}
    assert {name: backbone["type"] for name, backbone in found.items()} == types
    assert found["timm:tf_efficientnet_lite0"] == found["efficientnet_lite0"]
    # Heads read the stages.
    assert backbone_settings("efficientnet_lite0")["in_index"] == [0, 1]


@pytest.mark.parametrize("places", [[], [3, 5]])
def test_unknown_stages_are_named(places):
    with pytest.raises(LussError, match=r"out_indices is \[.*0 to 4"):
        build(model_name="tf_efficientnet_lite0", out_indices=places)
