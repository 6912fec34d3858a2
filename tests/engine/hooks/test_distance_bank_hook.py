"""When a bank of labelled vectors is made, and when the one in the file serves."""

import pytest
import torch
from mmengine import Config

from luss.datasets import draw_demo_data
from luss.engine.hooks import DistanceBankHook
from luss.errors import LussError
from luss.evaluation.distance_bank import DistanceBank
from luss.registry import MODELS, RUNNERS

BACKBONE = {
    "type": "mmselfsup.ResNet",
    "depth": 18,
    "stem_channels": 8,
    "base_channels": 8,
    "strides": (1, 2, 2, 1),
    "out_indices": (4,),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "data"
    return str(draw_demo_data(folder, train=1, train_semi=1, validation=1, test=1, size=40))


def loader(root, split, size):
    pipeline = [
        {"type": "LoadRGBImage"},
        {"type": "LoadMask"},
        {"type": "ResizeShortSide", "size": size},
        {"type": "PackInputs"},
    ]
    dataset = {"type": "ImageNetS", "data_root": root, "split": split, "pipeline": pipeline}
    return {"batch_size": 4, "num_workers": 0, "dataset": dataset}


def match(root, work_dir, weights=None, size=32, **model):
    """Metrics of validation, and the bank's file."""
    path = work_dir / "bank.npz"
    config = {
        "runner_type": "luss.Runner",
        "model": {"type": "DistanceMatcher", "backbone": BACKBONE, **model},
        "work_dir": str(work_dir),
        "default_scope": "luss",
        "test_dataloader": {"validation": loader(root, "validation", size)},
        "test_evaluator": {"type": "SegmentationMetric"},
        "test_cfg": {"type": "SplitsTestLoop"},
        "custom_hooks": [
            {
                "type": "DistanceBankHook",
                "dataloader": loader(root, "train-semi", size),
                "file": str(path),
            },
            {"type": "BackboneWeightsHook", "weights": weights, "seed": 1},
        ],
        "experiment_name": f"{work_dir}{len(list(work_dir.glob('*')))}",
    }
    return RUNNERS.get("Runner").from_cfg(Config(config)).test()["validation"], path


def test_a_bank_serves_until_what_it_was_made_from_changes(root, tmp_path):
    first, path = match(root, tmp_path)
    written = path.stat().st_mtime_ns
    again, _ = match(root, tmp_path)
    other_votes, _ = match(root, tmp_path, k=1)
    assert path.stat().st_mtime_ns == written
    assert again["mIoU"] == first["mIoU"] != other_votes["mIoU"]
    source = DistanceBank.read(path).source

    match(root, tmp_path, size=40)
    assert DistanceBank.read(path).source != source
    match(root, tmp_path)
    assert DistanceBank.read(path).source == source
    torch.manual_seed(0)
    torch.save({"state_dict": MODELS.build(dict(BACKBONE)).state_dict()}, tmp_path / "other.pth")
    match(root, tmp_path, weights=str(tmp_path / "other.pth"))
    assert DistanceBank.read(path).source != source


def test_what_has_no_bank(root, tmp_path):
    hook = DistanceBankHook(loader(root, "train-semi", 32), tmp_path / "bank.npz")

    class OfAnotherModel:
        model = torch.nn.Linear(1, 1)

    with pytest.raises(LussError, match="is a Linear, which has no bank"):
        hook.before_test(OfAnotherModel())
    model = MODELS.build({"type": "DistanceMatcher", "backbone": BACKBONE})
    images = torch.zeros(1, 3, 32, 32)
    with pytest.raises(LussError, match="DistanceBankHook"):
        model(images, [], mode="predict")
    with pytest.raises(LussError, match="cannot be trained"):
        model(images, [], mode="loss")
