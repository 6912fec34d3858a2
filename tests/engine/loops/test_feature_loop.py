"""Features of photos are computed once: those of the backbone, whatever runs and is killed."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import run_ranks
from states import Killed

sys.path.insert(0, str(Path(__file__).parent))  # for spawned processes, too

from feature_runs import MODEL, PIPELINE, SIZES, compute, make_run, runner_of

from luss.datasets import PhotoFolder
from luss.datasets.feature_files import FeatureFolder, FeatureWriter
from luss.errors import LussError
from luss.models.backbones import extract_maps
from luss.registry import MODELS


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Photos with features; do not write to them."""
    root = make_run(tmp_path_factory.mktemp("run"))
    assert runner_of(root).test() == {"photos": len(SIZES)}
    return root


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "maps" / "train").iterdir())}


def test_features_are_those_of_the_backbone(root):
    model = MODELS.build(MODEL).eval()
    model.load_state_dict(torch.load(root / "weights.pth")["state_dict"])
    found = FeatureFolder(root / "features" / "maps" / "train")
    assert found.strides == [16, 32]
    assert found.ids == [f"{index}" for index in range(len(SIZES))]
    assert found.unreadable == ["3b"]
    photos = PhotoFolder(data_root=str(root / "photos"), pipeline=PIPELINE, without=["3b"])
    for item, size in zip(photos, SIZES, strict=True):
        images = model.data_preprocessor({"inputs": [item["inputs"][None]]})["inputs"][0]
        entry = found.read(item["data_samples"].image_id)
        assert entry.photo == size and entry.image == tuple(images.shape[2:])
        with torch.no_grad():
            maps = extract_maps(model.backbone, images)
        for values, expected in zip(entry.maps, maps, strict=True):
            np.testing.assert_array_equal(values.transpose(2, 0, 1), expected[0])


def test_batches_and_half_precision_round(root):
    runner_of(root, "batches", batch_size=4, precision="half").test()
    one, other = (FeatureFolder(root / name / "maps" / "train") for name in ("features", "batches"))
    assert other.dtype == np.float16
    for image_id in one.ids:
        for values, rounded in zip(one.read(image_id).maps, other.read(image_id).maps, strict=True):
            np.testing.assert_allclose(rounded, values, rtol=2e-3, atol=1e-6)


def test_two_processes_write_the_same_files(root, tmp_path):
    run_ranks(compute, tmp_path, str(root), "ranks")
    assert files_of(root / "ranks") == files_of(root / "features")


def test_a_killed_run_ends_the_same(root, monkeypatch):
    added = []

    def add(writer, image_id, *arguments):
        if len(added) == 3:
            raise Killed
        added.append(image_id)
        original(writer, image_id, *arguments)

    original = FeatureWriter.add
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(FeatureWriter, "add", add)
        runner_of(root, "killed").test()
    assert not FeatureFolder(root / "killed" / "maps" / "train").is_complete
    runner_of(root, "killed").test()
    assert files_of(root / "killed") == files_of(root / "features")
    # What is complete is kept.
    with monkeypatch.context() as patch:
        patch.setattr(FeatureWriter, "add", None)
        assert runner_of(root, "killed").test() == {"photos": len(SIZES)}
    # Other settings make it stale.
    runner_of(root, "killed", precision="half").test()
    assert FeatureFolder(root / "killed" / "maps" / "train").dtype == np.float16


def test_unknown_precision(root):
    with pytest.raises(LussError, match="'double', expected single or half"):
        runner_of(root, "unknown", precision="double").test()
