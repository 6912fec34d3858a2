"""``luss features``: features of photos as files that any program reads."""

import argparse
import json

import numpy as np
import pytest
import torch
from PIL import Image
from small_preset import NETWORKS, add_small_preset

from luss.commands.features import add_arguments, run
from luss.datasets.transforms import LoadRGBImage, PackInputs, ResizeShortSide
from luss.errors import LussError
from luss.models.backbones import extract_maps
from luss.models.backbones.presets import PRESETS


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in (("b.png", (60, 48)), ("deep/a.jpg", (48, 90)), ("c.png", (48, 48))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(folder / name)
    (folder / "broken.png").write_bytes((folder / "c.png").read_bytes()[:100])
    return folder


@pytest.fixture(params=NETWORKS)
def backbone(request, monkeypatch, tmp_path):
    """A random network whose file a preset ``small`` describes, and its patches."""
    network = add_small_preset(monkeypatch, request.param, tmp_path / "w.pth")
    return network, PRESETS["small"].multiple


def call(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    run(parser.parse_args([str(argument) for argument in arguments]))


def images_of(path, size, multiple):
    """The input of the network for a photo."""
    results = {"img_path": str(path), "image_id": "", "upright": True}
    for step in (LoadRGBImage(), ResizeShortSide(size, multiple_of=multiple), PackInputs()):
        results = step(results)
    preset = PRESETS["small"]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preset.mean, preset.std))
    return ((results["inputs"] / 255 - mean) / std)[None]


@pytest.mark.parametrize("half", [False, True])
def test_features_are_those_of_the_backbone(photos, backbone, tmp_path, capsys, half):
    network, multiple = backbone
    out = tmp_path / "out"
    options = ["--half"] if half else []
    arguments = [photos, "--backbone", "small", "--weights", tmp_path / "w.pth"]
    call(*arguments, "--out", out, "--size", 56, *options)
    assert "3 photos: features.npy 3 x " in capsys.readouterr().out
    index = json.loads((out / "index.json").read_text())
    assert [photo["path"] for photo in index["photos"]] == ["b.png", "c.png", "deep/a.jpg"]
    assert index["unreadable"] == ["broken.png"] and index["short_side"] == 56
    features = np.load(out / "features.npy")
    tolerance = {"rtol": 2e-3, "atol": 1e-3} if half else {"rtol": 1e-5, "atol": 1e-6}
    for row, photo in zip(features, index["photos"], strict=True):
        images = images_of(photos / photo["path"], 56, multiple)
        assert photo["image_size"] == list(images.shape[2:])
        with Image.open(photos / photo["path"]) as image:
            assert photo["size"] == [image.height, image.width]
        with torch.no_grad():
            maps = extract_maps(network, images)
        for place, (entry, expected) in enumerate(zip(photo["maps"], maps, strict=True)):
            cells = np.load(out / f"map_{place}.npy")
            assert cells.dtype == (np.float16 if half else np.float32)
            height, width = entry["height"], entry["width"]
            found = cells[entry["first"] : entry["first"] + height * width]
            wanted = expected[0].flatten(1).T
            assert (height, width) == tuple(expected.shape[2:])
            np.testing.assert_allclose(found, wanted, **tolerance)
        np.testing.assert_allclose(row, maps[-1].mean(dim=(2, 3))[0], **tolerance)
    with pytest.raises(LussError, match="is not empty"):
        call(*arguments, "--out", out)


def test_wrong_arguments(photos, backbone, tmp_path):
    weights, out = tmp_path / "w.pth", tmp_path / "out"
    split_root = tmp_path / "root"
    for name in ("train/class", "validation/class"):
        (split_root / name).mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(split_root / name / "a.JPEG")
    for folder, file, options, message in [
        (tmp_path / "none", weights, [], "none is not a folder"),
        (photos, tmp_path / "none.pth", [], r"none\.pth"),
        (photos, weights, ["--size", 0], "--size is 0"),
        (split_root, weights, [], "root/train"),
    ]:
        with pytest.raises(LussError, match=message):
            call(folder, "--backbone", "small", "--weights", file, "--out", out, *options)
        assert not (out / "index.json").exists()
