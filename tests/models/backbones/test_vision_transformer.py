"""DINO's vision transformers: mmcls' at their own size, and the hub models' positions at others."""

import copy
import io
import warnings

import pytest
import torch

from luss.models.backbones import extract_maps
from luss.models.backbones.filling import fill_from
from luss.models.backbones.vision_transformer import resized_positions
from luss.models.backbones.weights import WeightsEntry
from luss.registry import MODELS

ARCH = {"embed_dims": 16, "num_layers": 3, "num_heads": 2, "feedforward_channels": 16}
PLAIN = {"type": "mmcls.VisionTransformer", "arch": ARCH, "img_size": 64, "patch_size": 8}
DINO = {**PLAIN, "type": "DINOVisionTransformer"}
SCALED = {**PLAIN, "type": "LayerScaleVisionTransformer"}
REGISTERS = {**SCALED, "num_registers": 2, "interpolate_offset": 0.0, "antialias": True}
BEIT = {**PLAIN, "type": "AnySizeBEiT"}


def build(config, seed=0):
    torch.manual_seed(seed)
    backbone = MODELS.build(copy.deepcopy(config))
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
    # Not chained: train() of mmcls' backbones returns nothing.
    backbone.eval()
    return backbone


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"out_indices": [0, 2], "final_norm": False},
        {"with_cls_token": False, "output_cls_token": False},
        {"output_cls_token": False, "pre_norm": True},
        {"avg_token": True},
    ],
)
def test_outputs_at_the_own_size_are_those_of_mmcls(options):
    plain, dino = (build({**config, **options}) for config in (PLAIN, DINO))
    images = torch.randn(2, 3, 64, 64)

    def flat(outputs):
        return [part for output in outputs for part in ([*output] if len(output) == 2 else output)]

    with torch.no_grad():
        found, expected = flat(dino(images)), flat(plain(images))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("grid", [(5, 12), (16, 16), (7, 9)])
def test_places_of_resized_positions(grid):
    """Linear interpolation keeps what grows evenly: values show the place that was looked up."""
    ramp = torch.arange(8.0)
    places = torch.stack(torch.meshgrid(ramp, ramp, indexing="ij"), dim=2).reshape(1, 64, 2)
    positions = torch.cat([torch.full((1, 1, 2), 9.0), places], dim=1)
    for offset in (0.0, 0.1):
        found = resized_positions(positions, (8, 8), grid, offset, mode="bilinear")
        assert found[0, 0].tolist() == [9, 9]
        rows, columns = ((torch.arange(new) + 0.5) * 8 / (new + offset) - 0.5 for new in grid)
        # Off the edges, beyond which positions are those of the edge.
        rows, columns = (a.where((a >= 0) & (a <= 7), torch.nan) for a in (rows, columns))
        expected = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=2).flatten(0, 1)
        seen = ~expected.isnan()
        torch.testing.assert_close(found[0, 1:][seen], expected[seen])


@pytest.mark.parametrize("config", [DINO, SCALED])
def test_positions_at_other_sizes_are_those_of_the_hub_models(config):
    """Their forward pass uses a scale that is a tenth of a patch too large."""
    backbone = build(config)
    embedded = []
    backbone.layers[0].register_forward_pre_hook(lambda module, inputs: embedded.extend(inputs))
    images = torch.randn(1, 3, 96, 40)
    with torch.no_grad():
        extract_maps(backbone, images)
        patches = backbone.patch_embed(images)[0]
        places = backbone.pos_embed[:, 1:].reshape(1, 8, 8, 16).permute(0, 3, 1, 2)
        scale = ((12 + 0.1) / 8, (5 + 0.1) / 8)
        places = torch.nn.functional.interpolate(places, scale_factor=scale, mode="bicubic")
        expected = patches + places.permute(0, 2, 3, 1).reshape(1, 60, 16)
    torch.testing.assert_close(embedded[0][:, 1:], expected)


@pytest.mark.parametrize("config", [DINO, REGISTERS], ids=["dino", "registers"])
def test_onnx_resizes_positions_for_images_of_any_size(config):
    onnxruntime = pytest.importorskip("onnxruntime")
    backbone = build({**config, "output_cls_token": False})

    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = backbone

        def forward(self, images):
            return self.backbone(images)[-1]

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Last(), (torch.randn(1, 3, 48, 80),), buffer, dynamo=False, opset_version=17,
            input_names=["x"], output_names=["y"], training=torch.onnx.TrainingMode.PRESERVE,
            dynamic_axes={name: {2: "height", 3: "width"} for name in "xy"},
        )  # fmt: skip
    session = onnxruntime.InferenceSession(buffer.getvalue())
    # Traced; the own size; the own height alone; smaller and larger than that.
    for size in [(48, 80), (64, 64), (64, 40), (16, 200)]:
        images = torch.randn(1, 3, *size)
        (found,) = session.run(None, {"x": images.numpy()})
        with torch.no_grad():
            expected = extract_maps(backbone, images)[-1]
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [DINO, SCALED, REGISTERS])
def test_a_file_of_another_size_is_resized_by_the_same_rule(config):
    saved, backbone = build(config, 1), build({**config, "img_size": 40}, 2)
    fill_from(backbone, saved.state_dict(), WeightsEntry("f"))
    images = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        expected = extract_maps(saved, images)[-1]
        torch.testing.assert_close(extract_maps(backbone, images)[-1], expected)


@pytest.mark.parametrize(
    "config", [DINO, SCALED, REGISTERS, BEIT], ids=["dino", "scaled", "registers", "beit"]
)
@pytest.mark.parametrize("frozen", [1, 3])
def test_frozen_stages_are_frozen(config, frozen):
    backbone = build({**config, "frozen_stages": frozen})
    trained = {name for name, value in backbone.named_parameters() if value.requires_grad}
    later = tuple(f"layers.{index}." for index in range(frozen, 3))
    assert all(name.startswith((*later, "ln1.") if frozen < 3 else later) for name in trained)
    assert all(any(name.startswith(layer) for name in trained) for layer in later)
