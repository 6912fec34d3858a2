"""Runs of a `FeatureLoop` on a folder of photos, also of several processes."""

import uuid
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import init_default_scope
from PIL import Image

import luss.stages  # noqa: F401 -- registers everything
from luss.registry import MODELS, RUNNERS

RESNET = {
    "type": "mmcls.ResNet",
    "depth": 18,
    "base_channels": 4,
    "stem_channels": 4,
    "out_indices": [2, 3],
}
MODEL = {
    "type": "BackboneFeatures",
    "backbone": RESNET,
    "data_preprocessor": {"type": "ViewPreprocessor"},
}
PIPELINE = [
    {"type": "LoadRGBImage"},
    {"type": "ResizeShortSide", "size": 40},
    {"type": "PackInputs"},
]
SIZES = ((48, 60), (60, 48), (48, 60), (50, 50), (90, 48))


def make_run(root):
    """Photos, of which one cannot be read, and a checkpoint of a random network."""
    photos = Path(root, "photos")
    photos.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index, size in enumerate(SIZES):
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{index}.png")
    (photos / "3b.png").write_bytes((photos / "3.png").read_bytes()[:200])
    torch.manual_seed(0)
    init_default_scope("luss")
    model = MODELS.build(MODEL)
    torch.save({"state_dict": model.state_dict(), "meta": {}}, Path(root, "weights.pth"))
    return Path(root)


def runner_of(root, folder="features", batch_size=1, **settings):
    dataset = {
        "type": "PhotoFolder",
        "data_root": str(root / "photos"),
        "on_unreadable": "skip",
        "pipeline": PIPELINE,
    }
    loader = {"batch_size": batch_size, "num_workers": 0, "dataset": dataset}
    work_dir = str(root / folder)
    config = {
        "runner_type": "luss.Runner",
        "default_scope": "luss",
        "work_dir": work_dir,
        "experiment_name": f"{work_dir}_{uuid.uuid4()}",
        "model": MODEL,
        "load_from": str(root / "weights.pth"),
        "test_dataloader": {"train": loader},
        "test_evaluator": [],
        "test_cfg": {"type": "FeatureLoop", **settings},
        "log_level": "ERROR",
    }
    return RUNNERS.build(config)


def compute(rank, meeting, root, folder):
    """Run as one of several processes."""
    runner_of(Path(root), folder).test()
