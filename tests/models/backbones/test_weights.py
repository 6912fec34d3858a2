"""Weights in the layouts of other programs: each file gives the network that was saved."""

import ast
import copy
import re

import pytest
import torch
from torch import nn

from luss.errors import LussError
from luss.models.backbones import extract_maps
from luss.models.backbones.filling import fill_from
from luss.models.backbones.layouts import LAYOUTS
from luss.models.backbones.picking import parts_beside_the_backbone
from luss.models.backbones.presets import PRESETS
from luss.models.backbones.weights import WeightsEntry, weights_entry
from luss.registry import MODELS

ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 16}
RESNET = {"type": "mmselfsup.ResNet", "depth": 18, "stem_channels": 8, "base_channels": 8}
VIT = {"type": "mmcls.VisionTransformer", "arch": ARCH, "img_size": 32, "patch_size": 8}
DINO_VIT = {**VIT, "type": "DINOVisionTransformer"}
SCALED = {**VIT, "type": "LayerScaleVisionTransformer", "layer_scale": 0.5}
MMSEG_VIT = {"type": "mmseg.VisionTransformer", "img_size": 32, "patch_size": 8,
             "embed_dims": 16, "num_layers": 2, "num_heads": 2, "mlp_ratio": 1,
             "final_norm": True, "patch_bias": True}  # fmt: skip

TO_TIMM = [
    (r"^patch_embed\.projection", "patch_embed.proj"),
    (r"^layers\.(\d+)\.ln", r"blocks.\1.norm"),
    (r"^layers\.(\d+)\.ffn\.layers\.0\.0", r"blocks.\1.mlp.fc1"),
    (r"^layers\.(\d+)\.ffn\.layers\.1", r"blocks.\1.mlp.fc2"),
    (r"^layers\.(\d+)\.attn\.gamma1\.weight", r"blocks.\1.ls1.gamma"),
    (r"^layers\.(\d+)\.ffn\.layers\.3\.weight", r"blocks.\1.ls2.gamma"),
    (r"^layers", "blocks"),
    (r"^ln1", "norm"),
]
TO_TORCHVISION = [
    (r"^cls_token", "class_token"),
    (r"^patch_embed\.projection", "conv_proj"),
    (r"^pos_embed", "encoder.pos_embedding"),
    (r"^layers\.(\d+)\.ln", r"encoder.layers.encoder_layer_\1.ln_"),
    (r"^layers\.(\d+)\.attn\.qkv\.", r"encoder.layers.encoder_layer_\1.self_attention.in_proj_"),
    (r"^layers\.(\d+)\.attn\.proj", r"encoder.layers.encoder_layer_\1.self_attention.out_proj"),
    (r"^layers\.(\d+)\.ffn\.layers\.0\.0", r"encoder.layers.encoder_layer_\1.mlp.0"),
    (r"^layers\.(\d+)\.ffn\.layers\.1", r"encoder.layers.encoder_layer_\1.mlp.3"),
    (r"^ln1", "encoder.ln"),
]


def renamed(state, pairs, prefix=""):
    found = {}
    for name, value in state.items():
        for pattern, text in pairs:
            name = re.sub(pattern, text, name)
        found[prefix + name] = value
    return found


HEAD = {"head.weight": torch.zeros(2, 16), "head.bias": torch.zeros(2)}
FC = {"fc.weight": torch.zeros(2, 64), "fc.bias": torch.zeros(2)}


def of_openmmlab(state):
    return {"state_dict": renamed(state, [], "backbone.") | HEAD, "meta": {"epoch": 3}}


def of_torchvision(state):
    return state | FC


def of_torchvision_vit(state):
    return renamed(state, TO_TORCHVISION) | {"heads.head.weight": torch.zeros(2, 16)}


def of_timm(state):
    return renamed(state, TO_TIMM) | HEAD


def of_dino(state):
    return {
        "student": renamed(state, [*TO_TIMM, (r"^", "module.backbone.")]),
        "teacher": renamed(state, TO_TIMM, "backbone.") | {"head.mlp.0.weight": torch.zeros(2)},
        "epoch": 3,
    }


def of_dinov2(state):
    return renamed(state, TO_TIMM) | {"mask_token": torch.zeros(1, 16)}


def of_dinov2_training(state):
    chunks = (r"^blocks\.(\d+)\.", r"blocks.0.\1.")
    names = renamed(state, [*TO_TIMM, chunks], "backbone.")
    return {"teacher": names | {"dino_head.mlp.0.weight": torch.zeros(2)}}


def of_moco(state):
    other = {name: torch.zeros_like(value) for name, value in state.items()}
    return {
        "arch": "resnet18",
        "state_dict": renamed(state, [], "module.encoder_q.")
        | renamed(other, [], "module.encoder_k.")
        | {"module.encoder_q.fc.0.weight": torch.zeros(2), "module.queue": torch.zeros(4, 4)},
    }


def of_moco_v3(state):
    return {"state_dict": renamed(state, TO_TIMM, "module.base_encoder.")}


def of_pass(state):
    heads = {
        "projection_head.0.weight": torch.full((8, 64), 2.0),
        "prototypes.weight": torch.full((6, 8), 3.0),
        "projection_head_pixel.0.weight": torch.zeros(2),
        "projection_head_shallow.projection_head_shallow3.0.weight": torch.zeros(2),
    }
    return {"state_dict": renamed(state | heads, [], "module.")}


CASES = [
    ("openmmlab", RESNET, of_openmmlab),
    ("openmmlab", VIT, of_openmmlab),
    ("torchvision", RESNET, of_torchvision),
    ("torchvision", VIT, of_torchvision_vit),
    ("timm_vit", VIT, of_timm),
    ("timm", VIT, of_timm),
    ("timm", RESNET, of_torchvision),
    ("dino", DINO_VIT, of_dino),
    ("dinov2", SCALED, of_dinov2),
    ("dinov2", SCALED, of_dinov2_training),
    ("moco", RESNET, of_moco),
    ("moco", VIT, of_moco_v3),
    ("pass", RESNET, of_pass),
]


def build(config, seed):
    torch.manual_seed(seed)
    backbone = MODELS.build(copy.deepcopy(config))
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.2)
    backbone.eval()
    return backbone


def read(backbone, content, **entry):
    entry = WeightsEntry.parse({"file": "weights.pth", **entry}, "weights")
    fill_from(backbone, content, entry)


def test_each_layout_is_tested():
    """Here, or with the published files of presets."""
    presets = {preset.weights["layout"] for preset in PRESETS.values()}
    assert {layout for layout, _, _ in CASES} | presets == LAYOUTS.keys()


@pytest.mark.parametrize(
    ("layout", "config", "save"), CASES, ids=[f"{case[0]}-{case[2].__name__}" for case in CASES]
)
def test_a_file_gives_the_network_that_was_saved(layout, config, save):
    saved, backbone = build(config, 1), build(config, 2)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = extract_maps(saved, images)[-1]
        assert not torch.equal(extract_maps(backbone, images)[-1], expected)
        read(backbone, save(saved.state_dict()), layout=layout)
        assert torch.equal(extract_maps(backbone, images)[-1], expected)


@pytest.mark.parametrize("layout", ["timm", "timm_vit"])
def test_mmseg_vit_from_timm_names(layout):
    """Its attention is named otherwise, and computes the same."""
    saved, backbone = build(VIT, 1), build(MMSEG_VIT, 2)
    read(backbone, of_timm(saved.state_dict()), layout=layout)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            extract_maps(backbone, images)[-1],
            extract_maps(saved, images)[-1],
            rtol=1e-4,
            atol=1e-4,
        )


EFFICIENTNET = [
    "conv_stem.weight",
    "bn1.bias",
    "blocks.0.0.conv_dw.weight",
    "blocks.0.0.bn1.bias",
    "blocks.0.1.conv_pw.weight",
    "blocks.1.0.conv_pw.weight",
    "blocks.1.0.bn2.bias",
]
CONVNEXT = [
    "stem.0.weight",
    "stem.1.bias",
    "stages.0.blocks.0.conv_dw.weight",
    "stages.0.blocks.0.gamma",
    "stages.1.downsample.0.bias",
    "stages.1.blocks.0.mlp.fc1.bias",
]
SWIN = ["patch_embed.proj.weight", "layers.0.blocks.0.attn.qkv.weight",
        "layers.1.downsample.reduction.weight", "layers.1.blocks.1.mlp.fc2.bias"]  # fmt: skip


class Named(nn.Module):
    """A network of parameters of given names, each its own number."""

    def __init__(self, names):
        super().__init__()
        for number, name in enumerate(names):
            *places, last = name.split(".")
            inner = self
            for place in places:
                if not hasattr(inner, place):
                    inner.add_module(place, nn.Module())
                inner = getattr(inner, place)
            inner.register_parameter(last, nn.Parameter(torch.full((), float(number))))


@pytest.mark.parametrize("within", ["", "timm_model.", "model.", "timm_model.body."])
@pytest.mark.parametrize(
    ("names", "tops", "flat"),
    [
        (EFFICIENTNET, ["conv_head.weight", "bn2.weight", "classifier.bias"], None),
        (CONVNEXT, ["head.norm.weight", "head.fc.bias"], None),
        (CONVNEXT, ["head.norm.weight", "head.fc.bias"], (r"^(stem|stages)\.(\d)", r"\1_\2")),
        # Of one and the same network, some parts in and some not.
        (CONVNEXT, ["head.norm.weight", "head.fc.bias"], (r"^(stages)\.(\d)", r"\1_\2")),
        (SWIN, ["norm.weight", "head.fc.bias"], (r"^(layers|patch_embed)\.(\w+)", r"\1_\2")),
    ],
)
def test_networks_of_timm_from_timms_files(names, tops, flat, within):
    """OpenMMLab wraps them; its feature wrapper lists stages one by one, and has no classifier."""
    file = {name: torch.full((), 100.0 + number) for number, name in enumerate([*names, *tops])}
    own = [within + (re.sub(*flat, name) if flat else name) for name in names]
    network = Named(own)
    read(network, {"state_dict": file}, layout="timm")
    values = [network.state_dict()[name].item() for name in own]
    assert values == [100 + number for number in range(len(names))]
    # A network that has its top is filled with it.
    whole = Named([within + name for name in [*names, *tops]])
    read(whole, file, layout="timm")
    assert all(value >= 100 for value in whole.state_dict().values())
    file.pop(names[-1])
    with pytest.raises(LussError, match=re.escape(own[-1])):
        read(network, file, layout="timm")


def test_efficientnets_whose_blocks_are_counted_through():
    """Block 7 of EfficientNet-B0 is the last of its fourth stage, behind 1 + 2 + 2 and two more."""
    names = {
        "_conv_stem.weight": "conv_stem.weight",
        "_bn0.bias": "bn1.bias",
        "_blocks.0._depthwise_conv.weight": "blocks.0.0.conv_dw.weight",
        "_blocks.0._bn1.weight": "blocks.0.0.bn1.weight",
        "_blocks.0._project_conv.weight": "blocks.0.0.conv_pw.weight",
        "_blocks.0._bn2.weight": "blocks.0.0.bn2.weight",
        "_blocks.1._expand_conv.weight": "blocks.1.0.conv_pw.weight",
        "_blocks.1._bn0.weight": "blocks.1.0.bn1.weight",
        "_blocks.7._depthwise_conv.weight": "blocks.3.2.conv_dw.weight",
        "_blocks.7._bn1.weight": "blocks.3.2.bn2.weight",
        "_blocks.7._se_reduce.bias": "blocks.3.2.se.conv_reduce.bias",
        "_blocks.15._project_conv.weight": "blocks.6.0.conv_pwl.weight",
        "_blocks.15._bn2.bias": "blocks.6.0.bn3.bias",
    }
    file = {name: torch.full((), 100.0 + number) for number, name in enumerate(names)}
    tops = {name: torch.zeros(1) for name in ("_conv_head.weight", "_bn1.bias", "_fc.bias")}
    network = Named([f"timm_model.{name}" for name in names.values()])
    read(network, file | tops, layout="timm")
    values = [network.state_dict()[f"timm_model.{name}"] for name in names.values()]
    assert values == list(file.values())


def test_the_message_names_the_layouts_by_which_a_file_fits():
    backbone = build(DINO_VIT, 1)
    state = of_dino(build(DINO_VIT, 2).state_dict())
    with pytest.raises(LussError, match=r"It fits as layout .*'dino'"):
        read(backbone, state, layout="openmmlab")
    del state["teacher"]["backbone.pos_embed"]
    with pytest.raises(LussError, match="does not fit") as caught:
        read(backbone, state, layout="openmmlab")
    assert "It fits" not in str(caught.value)


def test_tensors_that_are_ignored():
    backbone = build(RESNET, 1)
    file = {
        **build(RESNET, 2).state_dict(),
        "conv_head.weight": torch.zeros(1),
        "layer4.2.conv1.weight": torch.zeros(1),
    }
    with pytest.raises(LussError) as caught:
        read(backbone, file, layout="torchvision")
    proposed = re.search(r"ignore=(\[.*?\])$", str(caught.value))[1]
    assert "conv_head" in proposed
    for prefix in ("", "net."):
        for patterns in (ast.literal_eval(proposed), [r"^conv_head\.", r"^layer4\.2\."]):
            backbone = build(RESNET, 1)
            named = renamed(file, [], prefix)
            read(backbone, named, layout="torchvision", prefix=prefix, ignore=patterns)
            assert torch.equal(backbone.conv1.weight, file["conv1.weight"])
            assert torch.equal(backbone.layer4[1].conv2.weight, file["layer4.1.conv2.weight"])
    # A tensor that may be missing keeps its value.
    backbone = build(RESNET, 1)
    before = backbone.conv1.weight.clone()
    read(backbone, file, layout="torchvision", ignore=["^conv1", *patterns], allow_missing="^conv1")
    assert torch.equal(backbone.conv1.weight, before)
    # What the network has cannot be done without.
    with pytest.raises(LussError, match=r"1 of its .* are missing \(conv1\.weight\)"):
        read(backbone, file, ignore="^conv1")


@pytest.mark.parametrize(
    ("layout", "width", "heads"),
    [("moco", 384, 12), ("dino", 384, 6), ("dinov2", 768, 12), ("torchvision", 768, 12)],
)
def test_heads_of_known_transformers(layout, width, heads):
    """Tensors do not show them."""
    saves = {"moco": of_moco_v3, "torchvision": of_torchvision_vit}
    for number in (heads, heads // 2):
        arch = {**ARCH, "embed_dims": width, "num_layers": 1, "num_heads": number}
        config = {**(SCALED if layout == "dinov2" else DINO_VIT), "arch": arch}
        backbone = MODELS.build(config)
        file = saves.get(layout, of_timm)(backbone.state_dict())
        if number == heads:
            read(backbone, file, layout=layout)
            continue
        with pytest.raises(LussError, match=f"num_heads={heads}"):
            read(backbone, file, layout=layout)


@pytest.mark.parametrize("config", [VIT, MMSEG_VIT])
def test_position_embeddings_are_resized_by_the_modules_rule(config):
    saved = build({**config, "img_size": 64}, 1)
    backbone = build(config, 2)
    read(backbone, {"state_dict": saved.state_dict()})
    assert backbone.pos_embed.shape == (1, 17, 16)
    torch.testing.assert_close(backbone.pos_embed[:, 0], saved.pos_embed[:, 0])
    grid = saved.pos_embed[:, 1:].unflatten(1, (8, 8)).permute(0, 3, 1, 2)
    small = torch.nn.functional.interpolate(grid, (4, 4), mode=backbone.interpolate_mode)
    torch.testing.assert_close(backbone.pos_embed[:, 1:], small.flatten(2).transpose(1, 2))


def test_position_biases_of_another_window_are_resized_by_the_modules_rule():
    """Biases that grow from left to right still do, and are zero in the middle."""
    arch = {"embed_dims": 8, "depths": [1] * 4, "num_heads": [1] * 4}
    config = {"type": "mmcls.SwinTransformer", "arch": arch, "pad_small_map": True}
    saved, backbone = build({**config, "window_size": 4}, 1), build(config, 2)
    state = saved.state_dict()
    table = "stages.0.blocks.0.attn.w_msa.relative_position_bias_table"
    state[table] = torch.arange(-3.0, 4).repeat(7, 1).reshape(49, 1)
    read(backbone, {"state_dict": state})
    name = "stages.0.blocks.0.norm1.weight"
    assert torch.equal(backbone.state_dict()[name], state[name])
    resized = backbone.state_dict()[table].reshape(13, 13)
    torch.testing.assert_close(resized, resized[:1].expand(13, 13))
    # Nothing is extrapolated.
    assert resized[0, [0, -1]].tolist() == pytest.approx([-3, 3])
    assert (resized[0].diff()[1:-1] > 0).all()
    assert resized[0, 6] == pytest.approx(0, abs=1e-5)


def test_own_key_prefix_and_renaming():
    saved, backbone = build(RESNET, 1), build(RESNET, 2)
    content = {"net": renamed(saved.state_dict(), [("^layer", "block")], "trunk.")}
    read(backbone, content, key="net", prefix="trunk.", rename={"^block": "layer"})
    assert torch.equal(backbone.layer1[0].conv1.weight, saved.layer1[0].conv1.weight)


def test_a_prefix_may_lack_its_dot_and_that_of_wrapped_models():
    saved, backbone = build(RESNET, 1), build(RESNET, 2)
    content = {"state_dict": renamed(saved.state_dict(), [], "module.net.")}
    read(backbone, content, prefix="net")
    assert torch.equal(backbone.layer1[0].conv1.weight, saved.layer1[0].conv1.weight)


def test_the_prefix_below_which_most_of_a_module_is_found_counts():
    """A whole model's names begin with that of its backbone, too."""
    saved, model = (torch.nn.ModuleDict({"backbone": build(RESNET, seed)}) for seed in (1, 2))
    state = saved.state_dict()
    fill_from(model, {"state_dict": state}, WeightsEntry("f"))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_a_deeper_network_is_told_by_what_is_inside_of_the_own_modules():
    backbone = build(RESNET, 1)
    deeper = {**backbone.state_dict(), "layer4.2.conv1.weight": torch.zeros(1)}
    with pytest.raises(LussError, match=r"1 belong to another one \(layer4\.2\.conv1\.weight\)"):
        read(backbone, deeper)


def test_parts_beside_the_backbone():
    state = build(RESNET, 1).state_dict()
    found = parts_beside_the_backbone(of_pass(state), WeightsEntry("f", layout="pass"))
    assert found["objectives.clustering.projector.0.weight"].unique() == 2
    assert found["objectives.clustering.prototypes.weight"].unique() == 3
    own = {"state_dict": {"objectives.clustering.prototypes.weight": torch.ones(2)}}
    assert parts_beside_the_backbone(own, WeightsEntry("f")) == own["state_dict"]


def test_what_does_not_fit_shows_the_names_in_the_file():
    backbone = build(RESNET, 1)
    before = copy.deepcopy(backbone.state_dict())
    state = backbone.state_dict()
    for content, entry, message in [
        (of_moco(state), {}, r"begin with module\.encoder_q \(\d+\).*moco"),
        (of_moco(state), {"layout": "openmmlab"}, "encoder_q"),
        (of_timm(build(VIT, 1).state_dict()), {"layout": "moco"}, r"begin with blocks \(24\)"),
        (of_openmmlab(state), {"prefix": "net."}, r"names that begin with 'net\.'.*backbone"),
        (of_openmmlab(state), {"key": "model"}, "no key 'model'; its keys are state_dict, meta"),
        (of_torchvision(state | {"layer9.x": torch.zeros(1)}), {"layout": "torchvision"}, "layer9"),
        (state, {"rename": [("conv1", "conv2")]}, "two tensors are renamed to"),
        ({**state, "conv1.weight": torch.zeros(3)}, {}, r"conv1\.weight .*shape \(3,\).*\(8, 3"),
    ]:
        with pytest.raises(LussError, match=message):
            read(backbone, content, **entry)
    assert all(torch.equal(value, before[n]) for n, value in backbone.state_dict().items())


def test_entries_that_make_no_sense():
    for entry, message in [
        ({"layout": "moco"}, "has no file"),
        ({"file": "f", "layot": "moco"}, "weights.layot .* did you mean 'layout'"),
        ("https://a/b.pth", "weights https://a/b.pth are a URL"),
        ({"file": "f", "layout": "caffe"}, "'caffe'.*openmmlab"),
        ({"file": "f", "rename": {"(": "x"}}, "rename has"),
        ({"file": "f", "rename": ["x"]}, "rename has 'x'"),
        ({"file": "f", "ignore": ["head", "("]}, r"ignore has '\('"),
        ({"file": "f", "allow_missing": "("}, r"allow_missing has '\('"),
    ]:
        with pytest.raises(LussError, match=message):
            WeightsEntry.parse(entry, "weights")


def test_a_stage_says_how_the_file_of_all_is_read():
    own = {"layout": "moco"}
    assert weights_entry({**own, "file": "a.pth"}) == {**own, "file": "a.pth"}
    assert weights_entry({**own, "file": {"file": "a.pth", "key": "model"}}) == {
        "layout": "moco",
        "file": "a.pth",
        "key": "model",
    }
    assert weights_entry({**own, "file": {"file": "a.pth", "layout": "dino"}})["layout"] == "moco"
    assert weights_entry({**own, "file": None}) is None
    assert weights_entry(own) is None
    assert weights_entry("own.pth") == "own.pth"
    assert weights_entry(None) is None
