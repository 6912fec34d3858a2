"""Feature maps from the outputs of backbones, and their channels and strides."""

import pytest
import torch
from torch import nn

from luss.errors import LussError
from luss.models.backbones import FeatureMap, extract_maps, feature_maps, probe
from luss.models.backbones.probing import stage_names
from luss.registry import MODELS

VIT = {"embed_dims": 8, "num_layers": 1, "num_heads": 1, "feedforward_channels": 8}
NARROW = {"type": "mmselfsup.ResNet", "depth": 18, "stem_channels": 8, "base_channels": 8}


def test_maps_among_other_outputs():
    shallow, deep = torch.zeros(2, 3, 8, 8), torch.zeros(2, 5, 4, 4)
    token = torch.zeros(2, 5)
    for outputs in (deep, (deep,), [shallow, deep], (shallow, (deep, token)), [deep, token, token]):
        assert feature_maps(outputs, (64, 64))[-1] is deep
    assert feature_maps({"a": shallow, "b": deep}, (64, 64))[0] is shallow
    for outputs in (token, (), (deep, "text"), None, (token, token)):
        with pytest.raises(LussError, match=r"expected (a )?feature map"):
            feature_maps(outputs, (64, 64))


@pytest.mark.parametrize("extra", [0, 1, 5])
def test_tokens_are_laid_out_as_the_patches(extra):
    """In reading order, behind class and register tokens."""
    grid = torch.arange(2 * 3 * 4).reshape(1, 2, 3, 4).float()  # h, w, C
    tokens = torch.cat([torch.full((1, extra, 4), -1.0), grid.reshape(1, 6, 4)], dim=1)
    (found,) = feature_maps(tokens, (32, 48), (16, 16))
    assert torch.equal(found, grid.permute(0, 3, 1, 2))


@pytest.mark.parametrize("layer", [None, "ln1"])
@pytest.mark.parametrize("padded", [True, False])
def test_tokens_of_any_size_lie_where_their_patches_are(layer, padded):
    """A token is the sum of its patch, whether the last patch is padded or left out."""

    class Tokens(nn.Module):
        patch_size = 16

        def __init__(self):
            super().__init__()
            self.ln1 = nn.Identity()

        def forward(self, images):
            sums = nn.functional.avg_pool2d(images, 16, ceil_mode=padded)
            return self.ln1(torch.cat([sums.new_zeros(1, 3, 1), sums.flatten(2)], 2).mT)

    for height in range(200, 264):
        # One more patch would be fewer tokens than class tokens can be.
        for width in (224, 300):
            images = torch.rand(1, 3, height, width)
            expected = nn.functional.avg_pool2d(images, 16, ceil_mode=padded)
            with torch.no_grad():
                assert torch.equal(FeatureMap(Tokens(), layer)(images), expected)


def test_tokens_of_a_layer_that_pads_its_last_patch():
    backbone = MODELS.build({"type": "mmcls.VisionTransformer", "arch": VIT, "img_size": 224})
    images = torch.zeros(1, 3, 230, 224)
    with torch.no_grad():
        backbone.eval()
        found = FeatureMap(backbone, "ln1")(images)
        torch.testing.assert_close(found, FeatureMap(backbone)(images))
    assert found.shape == (1, 8, 15, 14)


class Pyramid(nn.Module):
    """Maps at strides 4 to 32, with channels last or not; their values are those of the photo."""

    def __init__(self, channels, last, side=None):
        super().__init__()
        self.channels, self.last, self.side = channels, last, side

    def forward(self, images):
        assert self.side is None or images.shape[-2:] == (self.side, self.side)
        found = []
        for level, channels in enumerate(self.channels):
            small = nn.functional.avg_pool2d(images[:, :1], 4 * 2**level, ceil_mode=True)
            small = small.expand(-1, channels, -1, -1)
            found.append(small.permute(0, 2, 3, 1) if self.last else small)
        return found


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("channels", [(96, 192, 384, 768), (128, 256, 512, 1024), (8, 16, 32, 64)])
def test_channels_behind_are_moved(channels, last):
    """At 384 x 384 pixels and stride 4, a map of 96 channels has the same sides either way."""
    backbone, reference = Pyramid(channels, last), Pyramid(channels, last=False)
    for size in [(384, 384), (512, 512), (128, 256), (96, 192), (224, 224), (230, 310), (64, 512)]:
        images = torch.rand(1, 3, *size)
        for found, expected in zip(extract_maps(backbone, images), reference(images), strict=True):
            assert torch.equal(found, expected), size


def test_channels_behind_are_moved_where_shapes_alone_tell():
    grid = torch.randn(2, 3, 4, 40)  # h, w, C
    assert torch.equal(feature_maps([grid], (96, 128))[0], grid.permute(0, 3, 1, 2))
    # Of a network that takes one size only, the larger side is that of the channels.
    images = torch.rand(1, 3, 128, 128)
    for found in extract_maps(Pyramid((40, 80, 160, 320), last=True, side=128), images):
        assert found.shape[2] == found.shape[3]


def test_strides_are_read_off_whole_patches():
    vit = {"type": "mmcls.VisionTransformer", "img_size": 28, "patch_size": 14, "arch": VIT}
    assert [info.stride for info in probe(MODELS.build(vit))] == [14]


def test_tokens_of_some_patches_are_no_map():
    with pytest.raises(LussError, match=r"4 x 4 patches: some are missing.*VisionTransformer"):
        feature_maps(
            (torch.zeros(1, 5, 8), torch.zeros(1, 16), torch.zeros(1, 16)), (64, 64), (16, 16)
        )
    with pytest.raises(LussError, match="patch_size"):
        feature_maps(torch.zeros(1, 5, 8), (64, 64))


def test_the_output_of_a_named_layer():
    backbone = MODELS.build(dict(NARROW))
    backbone.eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        stem = backbone.maxpool(backbone.relu(backbone.norm1(backbone.conv1(images))))
        torch.testing.assert_close(FeatureMap(backbone, "layer1")(images), backbone.layer1(stem))
        torch.testing.assert_close(FeatureMap(backbone)(images), backbone(images)[-1])
    with pytest.raises(LussError, match="no module 'layer5'; close to it are layer"):
        FeatureMap(backbone, "layer5")


def test_probing_changes_nothing():
    backbone = MODELS.build({**NARROW, "out_indices": (3, 4)})
    backbone.layer1.eval()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    found = probe(backbone)
    assert [(info.channels, info.stride) for info in found] == [(32, 16), (64, 32)]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[n]) for n, value in backbone.state_dict().items())
    assert backbone.training
    assert not backbone.layer1.training


def test_default_names_of_stages():
    assert stage_names(1) == (4,)
    assert stage_names(2) == (3, 4)
    assert stage_names(5) == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"type": "mmcls.ConvNeXt", "arch": {"depths": [1] * 4, "channels": [8] * 4}},
            "ConvNeXt: .*gap_before_final_norm=False",
        ),
        (
            {"type": "mmselfsup.MAEViT", "img_size": 32, "patch_size": 8, "arch": VIT},
            "MAEViT: .*some are missing",
        ),
    ],
)
def test_what_gives_no_maps_is_rejected_with_advice(config, message):
    with pytest.raises(LussError, match=message):
        probe(MODELS.build(config))


def test_an_image_that_is_too_small_is_named():
    swin = {"embed_dims": 8, "depths": [1] * 4, "num_heads": [1] * 4}
    backbone = MODELS.build({"type": "mmcls.SwinTransformer", "arch": swin})
    assert [info.stride for info in probe(backbone)] == [32]
    with pytest.raises(LussError, match=r"no image of 64 x 64 pixels.*pad_small_map=True"):
        probe(backbone, (64, 64))


def test_maps_of_a_vision_transformer_at_another_size():
    backbone = MODELS.build(
        {"type": "mmcls.VisionTransformer", "img_size": 32, "patch_size": 8, "arch": VIT}
    )
    (found,) = extract_maps(backbone, torch.zeros(2, 3, 40, 56))
    assert found.shape == (2, 8, 5, 7)
