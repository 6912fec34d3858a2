"""Checkpoints of other programs: every name has one place here, and one there."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from luss.engine.checkpoint import load
from luss.engine.convert_checkpoint import KINDS, convert_checkpoint, resnet_names
from luss.errors import LussError
from luss.registry import MODELS

NARROW = {"stem_channels": 8, "base_channels": 8}


def heads(*beginnings):
    """Tensors of a linear layer, a batch norm and another layer behind each beginning."""
    return {
        f"{beginning}{name}": torch.randn(2)
        for beginning in beginnings
        for name in ("0.weight", "1.running_mean", "3.weight")
    }


HEADS = {
    "pretrained": heads(
        "projection_head.",
        "projection_head_shallow.projection_head_shallow3.",
        "projection_head_shallow.projection_head_shallow2.",
        "projection_head_pixel_shallow.projection_head_pixel3.",
        "projection_head_pixel.",
        "predictor_head_pixel.",
    )
    | {"prototypes.weight": torch.randn(5, 4)},
    "pixel_attention": heads("projection_head.", "fbg.atten.")
    | {"prototypes.weight": torch.randn(5, 4), "fbg.threshold": torch.randn(1, 8, 1, 1)},
    "finetuned": {"last_layer.weight": torch.randn(7, 8), "last_layer.bias": torch.randn(7)},
}


def resnet(depth):
    init_default_scope("luss")
    return MODELS.build({"type": "mmcls.ResNet", "depth": depth, **NARROW}).state_dict()


@pytest.fixture
def convert(tmp_path):
    """Function from a checkpoint to what becomes of it, and what is said."""

    def run(content, **settings):
        torch.save(content, tmp_path / "in.pth")
        settings = {"kind": "pretrained", "replace": True, **settings}
        said = convert_checkpoint(tmp_path / "in.pth", tmp_path / "out.pth", **settings)
        return load(tmp_path / "out.pth"), " ".join(said)

    return run


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_names_of_resnets_are_those_of_mmcls(depth):
    assert resnet_names(depth) == resnet(depth).keys()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_released_files_into_ours_and_back(convert, kind, depth, prefix):
    released = {f"{prefix}{k}": v for k, v in (resnet(depth) | HEADS[kind]).items()}
    ours, said = convert({"epoch": 3, "state_dict": released}, to="luss", kind=kind)
    assert f"ResNet-{depth}" in said
    assert "removed" not in said
    modules = {".".join(name.split(".")[:2]) for name in ours["state_dict"]}
    assert "backbone.conv1" in modules
    back, said = convert(ours, to="authors", kind=kind)
    bare = {name.removeprefix("module."): value for name, value in released.items()}
    assert_same(back["state_dict"], {f"module.{name}": value for name, value in bare.items()})
    assert ("queue" in said) == (kind == "pixel_attention")


def test_the_queue_that_the_released_files_have_not(convert):
    released = resnet(18) | HEADS["pixel_attention"]
    for length, expected in ((None, 3840), (9, 9), (0, 0)):
        ours, said = convert(released, to="luss", kind="pixel_attention", queue_length=length)
        queue = ours["state_dict"]["objectives.clustering.queue"]
        assert queue.shape == (2, expected, 4)
        assert not queue.any()
        assert f"an empty queue of {expected} embeddings" in said
    with pytest.raises(LussError, match="length is -1"):
        convert(released, to="luss", kind="pixel_attention", queue_length=-1)


def test_torchvision_and_mmcls(convert):
    network = resnet(50)
    classifier = {"fc.weight": torch.randn(3, 8), "fc.bias": torch.randn(3)}
    mmcls, said = convert(network | classifier, to="mmcls")
    assert "removed" not in said
    backbone = {f"backbone.{name}": value for name, value in network.items()}
    head = {f"head.{name}": value for name, value in classifier.items()}
    assert_same(mmcls["state_dict"], backbone | head)
    torchvision, _ = convert(mmcls, to="torchvision")
    assert_same(torchvision, network | classifier)
    ours, said = convert(mmcls, to="luss")
    assert_same(ours["state_dict"], backbone)
    assert "luss does not have it: head" in said


def test_heads_are_left_out_where_they_have_no_place(convert):
    torchvision, said = convert(resnet(18) | HEADS["pretrained"], to="torchvision")
    assert torchvision.keys() == resnet_names(18)
    assert "objectives.clustering.projector, objectives.clustering.prototypes" in said


def test_counters_that_old_files_lack_are_zero(convert):
    old = {k: v for k, v in resnet(18).items() if not k.endswith("num_batches_tracked")}
    ours, _ = convert(old, to="luss")
    assert ours["state_dict"].keys() == {f"backbone.{name}" for name in resnet_names(18)}
    assert ours["state_dict"]["backbone.bn1.num_batches_tracked"] == 0


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (
            {"neck.weight": 1, "layer1.0.bn1.odd": 1},
            "pretrained",
            r"has 2 tensors .* ResNet-18 .*: neck\.weight, layer1\.0\.bn1\.odd\.",
        ),
        ({"fbg.threshold": 1}, "pretrained", r": fbg\.threshold\. .*\(pixel_attention\)"),
        ({"last_layer.weight": 1}, "pretrained", r"last_layer\.weight\. .*--kind \(finetuned\)"),
        ({}, "finetuned", r"no 'decode_head\.conv_seg' \('last_layer' in the released files\)"),
        ({}, "pixel_attention", "has no 'attention'"),
        ({"layer4.1.conv2.weight": None}, "pretrained", r"lacks 1 .*ResNet-18: .*layer4\.1\.conv2"),
        ({"module.bn1.bias": 1}, "pretrained", "both with and without 'module.'"),
    ],
)
def test_what_is_unknown_or_missing_is_listed(convert, change, kind, message):
    state = resnet(18) | {name: torch.zeros(1) for name, value in change.items() if value}
    state = {name: value for name, value in state.items() if change.get(name, 1)}
    with pytest.raises(LussError, match=message):
        convert(state, to="luss", kind=kind)


def test_other_networks_are_refused(convert):
    with pytest.raises(LussError, match=r"blocks\.0\.norm1\.weight\. .*weights=dict\(file"):
        convert({"blocks.0.norm1.weight": torch.zeros(2)}, to="luss")
    with pytest.raises(LussError, match="no conversion of kind 'pretrain' to 'luss'; kinds are"):
        convert(resnet(18), to="luss", kind="pretrain")


def test_nothing_but_tensors_is_read(tmp_path, monkeypatch):
    made = tmp_path / "made"

    class Executes:
        def __reduce__(self):
            return (open, (str(made), "w"))

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    torch.save({"state_dict": resnet(18), "args": Executes()}, tmp_path / "in.pth")
    np.save(tmp_path / "in.npy", np.array([Executes()], object), allow_pickle=True)
    for name, out, kind in (("in.pth", "o.pth", "pretrained"), ("in.npy", "o.npz", "centroids")):
        with pytest.raises(LussError):
            convert_checkpoint(tmp_path / name, tmp_path / out, to="luss", kind=kind)
        assert not (tmp_path / out).exists()
    assert not made.exists()


def test_the_input_is_not_replaced_unless_that_is_wanted(tmp_path):
    path = tmp_path / "in.npy"
    np.save(path, np.ones((2, 3), np.float32))
    before = path.read_bytes()
    with pytest.raises(LussError, match=r"in\.npy exists; .* --force"):
        convert_checkpoint(path, path, to="authors", kind="centroids")
    assert path.read_bytes() == before


def test_centroids_into_ours_and_back(tmp_path):
    centroids = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    np.save(tmp_path / "in.npy", centroids)
    convert_checkpoint(tmp_path / "in.npy", tmp_path / "c.npz", to="luss", kind="centroids")
    with np.load(tmp_path / "c.npz") as arrays:
        assert np.array_equal(arrays["centroids"], centroids)
    convert_checkpoint(tmp_path / "c.npz", tmp_path / "b.npy", to="authors", kind="centroids")
    assert np.array_equal(np.load(tmp_path / "b.npy"), centroids)
    for to, out, message in (
        ("torchvision", "x.npz", "--to is torchvision"),
        ("luss", "x.npy", r"x\.npy, expected a file \*\.npz"),
    ):
        with pytest.raises(LussError, match=message):
            convert_checkpoint(tmp_path / "in.npy", tmp_path / out, to=to, kind="centroids")
