"""Distance of features to the photo's frame, on features that are known."""

import numpy as np
import pytest
import torch
from drawings import auc, drawing
from PIL import Image
from torch import nn

from luss.errors import LussError
from luss.label_generation.foreground import LazyPhoto, frame_distance, range_to_one, resize_map
from luss.registry import FOREGROUND_SOURCES, MODELS

RESNET = {
    "type": "mmcls.ResNet",
    "depth": 18,
    "stem_channels": 8,
    "base_channels": 8,
    "out_indices": (1, 2, 3),
}
VIT = {
    "type": "LayerScaleVisionTransformer",
    "arch": {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 16},
    "img_size": 64,
    "patch_size": 16,
    "num_registers": 2,
}


class GivenMaps(nn.Module):
    """A backbone that returns given maps, and counts its calls."""

    def __init__(self, *maps):
        super().__init__()
        self.maps = maps
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        return tuple(self.maps)


@pytest.fixture
def photo(tmp_path):
    """Return a function from a model to the photo of the drawing."""

    def made(model, image=None):
        image = drawing()[0] if image is None else image
        Image.fromarray(image).save(tmp_path / "drawing.png")
        inputs = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        return LazyPhoto("drawing", str(tmp_path / "drawing.png"), inputs=inputs, model=model)

    return made


def of_backbone(backbone):
    model = nn.Module()
    model.backbone = backbone
    return model.eval()


def map_of(photo, **settings):
    with torch.no_grad():
        return FOREGROUND_SOURCES.build({"type": "FrameDistance", **settings})(photo)


def expected_map(maps, size, frame=0.06):
    distances = [resize_map(frame_distance(one[0], frame).numpy(), size) for one in maps]
    return range_to_one(sum(distances) / len(distances))


# ---- function ----------------------------------------------------------------------------------


def test_the_distance_is_one_minus_the_cosine_whatever_the_length():
    angles = torch.zeros(5, 6)
    angles[1, 2], angles[2, 3], angles[3, 1] = 0.4, torch.pi / 2, torch.pi
    lengths = torch.rand(5, 6, generator=torch.Generator().manual_seed(0)) + 0.1
    found = frame_distance(lengths * torch.stack([angles.cos(), angles.sin()]))
    torch.testing.assert_close(found, 1 - angles.cos())
    lengths[2, 2] = 0
    found = frame_distance(lengths * torch.stack([angles.cos(), angles.sin()]))
    assert found[2, 2] == 1


def test_the_frame_is_the_mean_of_its_cells_directions():
    """Of 12 cells of the frame, three have another direction."""
    features = torch.zeros(2, 4, 4)
    features[0] = 7.0
    features[:, 0, :3] = torch.tensor([0.0, 0.01])[:, None]
    found = frame_distance(features)
    torch.testing.assert_close(found[2, 2], torch.tensor(1 - 9 / 90**0.5))
    torch.testing.assert_close(found[0, 0], torch.tensor(1 - 3 / 90**0.5))


def test_a_thicker_frame_reaches_further_inside():
    features = torch.zeros(2, 10, 10)
    features[0] = 1
    features[:, 1, 1:9] = torch.tensor([0.0, 1.0])[:, None]
    assert frame_distance(features, 0.1)[5, 5] == pytest.approx(0, abs=1e-6)
    # 64 cells, of which eight have the other direction.
    expected = 1 - 56 / (56**2 + 8**2) ** 0.5
    assert frame_distance(features, 0.2)[5, 5] == pytest.approx(expected, abs=1e-6)


# ---- source ------------------------------------------------------------------------------------


def maps_of_drawing(height, width, seed=0):
    """Features (1, 3, h, w) that point one way on the disc and another way elsewhere."""
    disc = torch.from_numpy(drawing(height=height, width=width)[1])
    draw = torch.Generator().manual_seed(seed)
    features = torch.where(
        disc, torch.tensor([0.2, 1, 0.3])[:, None, None], torch.tensor([1, 0.2, 0.3])[:, None, None]
    )
    return (features + 0.3 * torch.randn(3, height, width, generator=draw))[None]


def test_an_object_of_other_features_stands_out(photo):
    _, disc = drawing()
    maps = maps_of_drawing(30, 40), maps_of_drawing(15, 20, seed=1)
    found = map_of(photo(of_backbone(GivenMaps(*maps))))
    assert auc(found, disc) > 0.97
    assert (found.dtype, found.shape) == (np.float32, disc.shape)
    assert (found.min(), found.max()) == (0, 1)


def test_maps_are_averaged_at_the_size_of_the_photo(photo):
    size = drawing()[1].shape
    maps = [maps_of_drawing(60, 80), maps_of_drawing(30, 40, 1), maps_of_drawing(15, 20, 2)]
    backbone = GivenMaps(*maps)
    one_photo = photo(of_backbone(backbone))
    for settings, chosen in (
        ({}, maps[1:]),
        ({"maps": [0, -1]}, [maps[0], maps[2]]),
        ({"maps": (1,), "frame": 0.2}, [maps[1]]),
    ):
        found = map_of(one_photo, **settings)
        expected = expected_map(chosen, size, settings.get("frame", 0.06))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert backbone.calls == 1
    with pytest.raises(LussError, match=r"maps is \(0, 3\), .* 3 feature map"):
        map_of(one_photo, maps=[0, 3])


def test_the_only_map_is_the_default(photo):
    only = maps_of_drawing(15, 20)
    found = map_of(photo(of_backbone(GivenMaps(only))))
    np.testing.assert_allclose(found, expected_map([only], drawing()[1].shape), atol=1e-5)


def test_a_convolutional_network(photo):
    torch.manual_seed(0)
    model = MODELS.build({"type": "BackboneFeatures", "backbone": RESNET}).eval()
    one_photo = photo(model, drawing(height=96, width=128)[0])
    found = map_of(one_photo)
    with torch.no_grad():
        maps = model.backbone(one_photo.inputs)
    assert [tuple(one.shape[2:]) for one in maps] == [(12, 16), (6, 8), (3, 4)]
    np.testing.assert_allclose(found, expected_map(maps[1:], (96, 128)), atol=1e-5)


@pytest.mark.parametrize("output_cls_token", [True, False])
def test_class_token_and_registers_are_no_patches(photo, output_cls_token):
    torch.manual_seed(0)
    backbone = {**VIT, "output_cls_token": output_cls_token}
    model = MODELS.build({"type": "BackboneFeatures", "backbone": backbone}).eval()
    nn.init.normal_(model.backbone.register_tokens, std=5)
    tokens = []
    model.backbone.layers[-1].register_forward_hook(lambda *call: tokens.append(call[-1]))
    found = map_of(photo(model, drawing(height=48, width=80)[0]))
    with torch.no_grad():
        normalised = model.backbone.norm1(tokens[0])
    assert normalised.shape == (1, 1 + 2 + 3 * 5, 16)
    patches = normalised[:, 3:].unflatten(1, (3, 5)).permute(0, 3, 1, 2)
    np.testing.assert_allclose(found, expected_map([patches], (48, 80)), atol=1e-4)


def test_a_photo_of_one_colour_has_no_object(photo):
    """Although padding makes the features of its edges differ."""
    torch.manual_seed(0)
    model = of_backbone(nn.Conv2d(3, 6, 7, stride=8, padding=3))
    assert not map_of(photo(model, np.full((48, 64, 3), 90, np.uint8))).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"maps": ()}, r"maps is \(\)"), ({"frame": 0}, "frame is 0"), ({"frame": 0.6}, "0.6")],
)
def test_settings_of_no_use_are_rejected_when_built(settings, message):
    with pytest.raises(LussError, match=message):
        FOREGROUND_SOURCES.build({"type": "FrameDistance", **settings})
