"""Presets against the published files: which tensors they load, and the features that they give."""

import importlib.util
import math
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from official import FILES, with_values

from luss.engine.foreign_weights import fill_backbone
from luss.errors import LussError
from luss.models.backbones import extract_maps, probe
from luss.models.backbones.filling import fill_from
from luss.models.backbones.picking import pick
from luss.models.backbones.presets import (
    PRESETS,
    backbone_settings,
    find_preset,
    fitting_presets,
    nearest_preset,
    tensor_shapes,
)
from luss.models.backbones.weights import WeightsEntry
from luss.registry import MODELS


def needs(package):
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None, reason=f"{package} is not installed"
    )


def with_marks(names):
    return [
        pytest.param(name, marks=needs(PRESETS[name].needs) if PRESETS[name].needs else ())
        for name in names
    ]


def loaded(name, content, **overrides):
    """Build a preset's backbone, and load a file into it."""
    settings = backbone_settings(name, {"file": "f.pth", **overrides})
    backbone = MODELS.build(settings["backbone"])
    fill_from(backbone, content, WeightsEntry.parse(settings["weights"], "weights"))
    # Not chained: train() of mmcls' backbones returns nothing.
    backbone.eval()
    return backbone


def maps_of(backbone, images):
    with torch.no_grad():
        return extract_maps(backbone, images)


def assert_equal(found, expected):
    """Compare features up to rounding, which depends on their size."""
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


def test_each_preset_has_its_file():
    assert FILES.keys() == PRESETS.keys()


@pytest.mark.parametrize("name", with_marks(PRESETS))
def test_a_preset_loads_exactly_the_tensors_of_its_file(name):
    settings = backbone_settings(name, "f.pth")
    wanted = tensor_shapes(PRESETS[name])
    entry = WeightsEntry.parse(settings["weights"], "weights")
    found = pick(FILES[name](), entry, wanted)
    floats = {key for key, value in wanted.items() if value.is_floating_point()}
    lacking = {"norm2.weight", "norm2.bias"} if settings["weights"].get("allow_missing") else set()
    assert floats - found.keys() == lacking
    assert all(found[key].shape == wanted[key].shape for key in floats - lacking)


@pytest.mark.parametrize(
    "name",
    with_marks(["torchvision_resnet50", "dinov2_vits14_reg", "dinov3_vits16", "convnext_tiny"]),
)
def test_maps_of_a_preset(name):
    preset = PRESETS[name]
    backbone = MODELS.build(backbone_settings(name)["backbone"])
    side = 4 * (preset.multiple if preset.multiple > 1 else 16)
    found = probe(backbone, (side, side))
    assert len(found) == len(preset.in_index)
    assert [info.stride for info in found] in ([16, 32], [preset.multiple])


def vit(state, images, heads, offset=0.0, antialias=False):
    """A vision transformer as the papers describe it, on the tensors of a published file."""
    patch = state["patch_embed.proj.weight"].shape[-1]
    tokens = F.conv2d(
        images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=patch
    )
    width, grid = tokens.shape[1], tuple(tokens.shape[2:])
    tokens = tokens.flatten(2).mT
    extra = [state["cls_token"]]
    turn = None
    if "pos_embed" in state:
        places = state["pos_embed"][:, 1:]
        own = math.isqrt(places.shape[1])
        places = places.reshape(1, own, own, width).permute(0, 3, 1, 2)
        to = {"size": grid}
        if offset:
            to = {"scale_factor": tuple((side + offset) / own for side in grid)}
        places = F.interpolate(places, mode="bicubic", antialias=antialias, **to)
        tokens = tokens + places.flatten(2).mT
        extra[0] = extra[0] + state["pos_embed"][:, :1]
    else:
        turn = rotation(state["rope_embed.periods"].float(), grid)
    extra += [state[name] for name in ("register_tokens", "storage_tokens") if name in state]
    extra = torch.cat(extra, dim=1)
    tokens = torch.cat([extra.expand(len(images), -1, -1), tokens], dim=1)
    # DINOv3's has another epsilon.
    epsilon = 1e-6 if turn is None else 1e-5

    def norm(name, x):
        return F.layer_norm(x, (width,), state[f"{name}.weight"], state[f"{name}.bias"], epsilon)

    def layer(name, x):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    block = 0
    while f"blocks.{block}.norm1.weight" in state:
        name = f"blocks.{block}"
        bias = state[f"{name}.attn.qkv.bias"]
        if turn is not None:
            # Keys have no bias.
            bias = bias * torch.tensor([1.0, 0.0, 1.0]).repeat_interleave(width)
        mixed = norm(f"{name}.norm1", tokens) @ state[f"{name}.attn.qkv.weight"].T + bias
        q, k, v = mixed.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        if turn is not None:
            q, k = (turned(x, turn, extra.shape[1]) for x in (q, k))
        weights = (q @ k.mT / math.sqrt(width // heads)).softmax(-1)
        branch = layer(f"{name}.attn.proj", (weights @ v).transpose(1, 2).flatten(2))
        tokens = tokens + branch * state.get(f"{name}.ls1.gamma", 1.0)
        branch = F.gelu(layer(f"{name}.mlp.fc1", norm(f"{name}.norm2", tokens)))
        tokens = tokens + layer(f"{name}.mlp.fc2", branch) * state.get(f"{name}.ls2.gamma", 1.0)
        block += 1
    return norm("norm", tokens)[:, extra.shape[1] :].mT.unflatten(2, grid)


def rotation(periods, grid):
    """Angles (H W, channels of a head / 2): rows first, of places in [-1, 1]."""
    rows, columns = ((torch.arange(side) + 0.5) / side * 2 - 1 for side in grid)
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=2).flatten(0, 1)
    return (2 * math.pi * places[:, :, None] / periods).flatten(1)


def turned(x, angles, extra):
    """Turn pairs of channels, (c, c + half), of the patches (N, heads, extra + H W, channels)."""
    one, other = x[:, :, extra:].chunk(2, dim=-1)
    cosine, sine = angles.cos(), angles.sin()
    pair = [one * cosine - other * sine, other * cosine + one * sine]
    return torch.cat([x[:, :, :extra], torch.cat(pair, dim=-1)], dim=2)


@pytest.mark.parametrize(
    ("name", "heads", "rule"),
    [
        ("dino_vits16", 6, {"offset": 0.1}),
        ("dino_vits8", 6, {"offset": 0.1}),
        ("dinov2_vits14", 6, {"offset": 0.1}),
        ("dinov2_vits14_reg", 6, {"antialias": True}),
        pytest.param("dinov3_vits16", 6, {}, marks=needs("timm")),
        ("ibot_vits16", 6, {"offset": 0.1}),
        ("mae_vitb16", 12, {}),
        ("mocov3_vits16", 12, {}),
        ("deit_vits16", 6, {}),
        ("sere_vits16", 6, {"offset": 0.1}),
    ],
)
def test_features_of_a_published_vision_transformer(name, heads, rule):
    content = with_values(FILES[name]())
    state = content.get("model", content.get("state_dict", content))
    prefix = "module.base_encoder." if name.startswith("mocov3") else ""
    state = {key.removeprefix(prefix): value for key, value in state.items()}
    backbone = loaded(name, content)
    patch = PRESETS[name].multiple
    # Of another size and shape than the file's, and larger or smaller along each side.
    images = torch.randn(2, 3, 5 * patch, 18 * patch)
    (found,) = maps_of(backbone, images)
    with torch.no_grad():
        assert_equal(found, vit(state, images, heads, **rule))


@needs("torchvision")
def test_features_of_torchvisions_resnet():
    from torchvision.models import resnet50

    torch.manual_seed(0)
    network = resnet50().eval()
    backbone = loaded("torchvision_resnet50", network.state_dict())
    images = torch.randn(1, 3, 75, 64)
    with torch.no_grad():
        stem = network.maxpool(network.relu(network.bn1(network.conv1(images))))
        expected = [network.layer3(network.layer2(network.layer1(stem)))]
        expected.append(network.layer4(expected[0]))
    for found, other in zip(maps_of(backbone, images), expected, strict=True):
        assert_equal(found, other)


@needs("timm")
@pytest.mark.parametrize(
    ("name", "model_name", "size"),
    [
        ("dino_vits16", "vit_small_patch16_224.dino", (224, 224)),
        ("dinov2_vits14_reg", "vit_small_patch14_reg4_dinov2", (70, 252)),
        ("dinov3_vits16", "vit_small_patch16_dinov3_qkvb", (80, 288)),
        ("dinov3_vits16plus", "vit_small_plus_patch16_dinov3_qkvb", (80, 288)),
        ("convnext_tiny", "convnext_tiny.fb_in1k", (64, 96)),
        # With several windows in the last stage: mmcls shifts a single one, too.
        ("swin_tiny", "swin_tiny_patch4_window7_224.ms_in1k", (448, 448)),
    ],
)
def test_features_of_timms_network_with_timms_own_conversion(name, model_name, size):
    import timm

    content = with_values(FILES[name]())
    if name.startswith("dinov3"):
        # timm ignores the file's periods, which are rounded.
        content["rope_embed.periods"] = 100 ** (torch.arange(16.0) / 16)
    options = {"dinov2_vits14_reg": {"dynamic_img_size": True}, "swin_tiny": {"img_size": size}}
    network = timm.create_model(model_name, **options.get(name, {})).eval()
    convert = importlib.import_module(type(network).__module__).checkpoint_filter_fn
    missing = network.load_state_dict(convert(dict(content), network), strict=False).missing_keys
    assert all(key.startswith(("head.", "fc_norm.")) for key in missing)
    images = torch.randn(1, 3, *size)
    with torch.no_grad():
        expected = network.forward_features(images)
        if name.startswith("convnext"):
            expected = network.head.norm(expected)
        elif name.startswith("swin"):
            expected = expected.permute(0, 3, 1, 2)
        else:
            patch = PRESETS[name].multiple
            grid = [side // patch for side in size]
            expected = expected[:, network.num_prefix_tokens :].mT.unflatten(2, grid)
    assert_equal(maps_of(loaded(name, content), images)[-1], expected)


@needs("timm")
@pytest.mark.parametrize(
    ("name", "strides", "multiple"),
    [
        ("timm:tf_efficientnet_lite0", [16, 32, 32], 1),
        ("timm:resnet18.a1_in1k", [16, 32], 1),
        ("timm:convnext_atto", [16, 32], 32),
        ("timm:swin_tiny_patch4_window7_224", [16, 32], 32),
        ("timm:vit_tiny_patch16_224", [16], 16),
        ("timm:vit_small_patch14_dinov2", [14], 14),
        ("timm:vit_tiny_patch16_dinov3_qkvb", [16], 16),
        ("timm:mobilenetv3_small_050", [16, 32], 1),
    ],
)
def test_presets_of_timms_networks(name, strides, multiple):
    """They load timm's file of the whole network, and accept images of any size."""
    import timm

    network = timm.create_model(name.removeprefix("timm:"))
    facts = network.pretrained_cfg
    settings = backbone_settings(name, "f.pth")
    assert settings["multiple"] == multiple
    assert settings["size"] == facts["input_size"][-1]
    assert (settings["mean"], settings["std"]) == (facts["mean"], facts["std"])
    backbone = loaded(name, network.state_dict())
    step = multiple if multiple > 1 else 32
    size = (step * 3, step * 5)
    found = maps_of(backbone, torch.randn(1, 3, *size))
    assert len(found) == len(strides)
    stages = len(found) - (settings["backbone"]["type"] == "TIMMFeatures")
    assert settings["in_index"] == list(range(stages))
    for one, stride in zip(found, strides, strict=True):
        assert tuple(one.shape[2:]) == tuple(side // stride for side in size)


@pytest.mark.parametrize(
    "name",
    [
        *with_marks(["dinov2_vits14_reg", "deit_vits16", "dinov3_vits16"]),
        pytest.param("timm:vit_tiny_patch16_224", marks=needs("timm")),
    ],
)
def test_outputs_of_chosen_blocks(name):
    """The third and the last block; timm does not normalise the outputs of several blocks."""
    settings = backbone_settings(name, "f.pth", out_indices=[2, 11])
    assert settings["in_index"] == [0, 1]
    if name.startswith("timm:"):
        import timm

        torch.manual_seed(0)
        content = timm.create_model(name.removeprefix("timm:")).state_dict()
    else:
        content = with_values(FILES[name]())
    backbone = MODELS.build(settings["backbone"])
    fill_from(backbone, content, WeightsEntry.parse(settings["weights"], "weights"))
    backbone.eval()
    side = settings["multiple"]
    images = torch.randn(1, 3, 5 * side, 3 * side)
    third, last = maps_of(backbone, images)
    (expected,) = maps_of(loaded(name, content), images)
    if "features_only" in settings["backbone"]:
        epsilon = 1e-5 if name.startswith("dinov3") else 1e-6
        scale, shift = content["norm.weight"], content["norm.bias"]
        last = F.layer_norm(last.movedim(1, -1), scale.shape, scale, shift, epsilon).movedim(-1, 1)
    assert third.shape == last.shape == expected.shape
    assert_equal(last, expected)


def test_settings_of_a_config():
    settings = backbone_settings("dinov2_vits14", {"file": "f.pth", "prefix": "net."})
    assert settings["weights"] == {"file": "f.pth", "layout": "dinov2", "prefix": "net."}
    assert settings["multiple"] == 14
    assert backbone_settings("dinov2_vits14")["weights"] is None
    # Configs may be changed.
    settings["backbone"].clear()
    assert backbone_settings("dinov2_vits14")["backbone"]
    for name, message in [("dinov2_vits1", "dinov2_vits14"), ("resnet", "luss backbones")]:
        with pytest.raises(LussError, match=message):
            find_preset(name)
    if importlib.util.find_spec("timm") is None:
        for name in ("dinov3_vits16", "timm:resnet18"):
            with pytest.raises(LussError, match="pip install timm"):
                backbone_settings(name)
    else:
        with pytest.raises(LussError, match="resnet18"):
            find_preset("timm:resnet_18")


@pytest.mark.parametrize(
    ("name", "file", "others"),
    [
        ("dino_vits16", "dino_deitsmall16_pretrain.pth", {"ibot_vits16", "deit_vits16"}),
        ("mocov2_resnet50", "moco_v2_800ep_pretrain.pth.tar", {"mocov3_resnet50"}),
        ("dinov2_vits14_reg", "dinov2_vits14_reg4_pretrain.pth", set()),
        ("swin_tiny", "swin_tiny_patch4_window7_224.pth", set()),
        ("openmmlab_convnext_small", "weights.pth", set()),
        pytest.param(
            "efficientnet_lite0",
            "efficientnet-lite0-57934424.pth",
            {"timm:tf_efficientnet_lite0", "timm:efficientnet_lite0"},
            marks=needs("timm"),
        ),
    ],
)
def test_presets_that_a_file_fits(name, file, others):
    fits = fitting_presets(FILES[name](), file)
    exact = {fit.name for fit in fits if fit.share == 1}
    assert fits[0].name == name
    assert others < exact if others else exact == {name}
    assert [fit.share for fit in fits] == sorted((fit.share for fit in fits), reverse=True)


def test_downloads_are_for_networks_of_timm():
    with pytest.raises(LussError, match=r"dino_deitsmall16_pretrain\.pth"):
        backbone_settings("dino_vits16", "hub")


_WITH_A_CACHE = """
import os
import shutil
import torch
from luss.errors import LussError
from luss.models.backbones.presets import backbone_settings

def load():
    return torch.load(backbone_settings("timm:test_resnet", "hub")["weights"]["file"])

torch.save(load(), "first.pth")
shutil.rmtree(os.environ["HF_HOME"])
torch.save(load(), "second.pth")
shutil.rmtree(os.environ["TORCH_HOME"])
try:
    load()
except LussError as error:
    print(error)
"""


@needs("timm")
def test_timms_download_with_a_local_cache(tmp_path):
    """The file is taken from the hub's cache, without a connection, and kept."""
    import timm
    from safetensors.torch import save_file

    network = timm.create_model("test_resnet")
    revision = "a" * 40
    repository = tmp_path / "cache" / "hub" / "models--timm--test_resnet.r160_in1k"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    save_file(network.state_dict(), snapshot / "model.safetensors")
    places = {"HF_HOME": str(tmp_path / "cache"), "TORCH_HOME": str(tmp_path / "torch")}
    result = subprocess.run(
        [sys.executable, "-c", _WITH_A_CACHE],
        env={**os.environ, **places, "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "timm could not get the weights of 'test_resnet'" in result.stdout, result.stderr
    for name in ("first.pth", "second.pth"):
        found = torch.load(tmp_path / name)
        assert all(torch.equal(found[key], value) for key, value in network.state_dict().items())


def test_the_nearest_preset_of_a_file():
    content = FILES["dinov2_vits14_reg"]()
    assert "fits the backbone dinov2_vits14_reg " in nearest_preset(content, "f.pth")
    del content["register_tokens"], content["norm.bias"]
    # One of 174 tensors is missing.
    assert "is dinov2_vits14 (99% of the tensors)" in nearest_preset(content, "f.pth")
    assert nearest_preset({"net": {"w": torch.zeros(2)}}, "f.pth") == ""
    assert nearest_preset({}, "f.pth") == ""


def test_a_file_of_another_network_names_its_preset(tmp_path):
    content = with_values(FILES["swin_tiny"]())
    torch.save(content, tmp_path / "w.pth")
    backbone = MODELS.build(backbone_settings("dino_resnet50")["backbone"])
    weights = {"file": tmp_path / "w.pth", "layout": "dino"}
    with pytest.raises(LussError, match="swin_tiny"):
        fill_backbone(backbone, weights)
