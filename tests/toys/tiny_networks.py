"""Tiny networks, and what one process does with its share of the images."""

import torch
from mmengine import Config

from luss.pipeline import evaluate
from luss.pipeline.context import Context
from luss.pipeline.work_dir import WorkDir

CLASSES = 6
NARROW = {
    "type": "mmselfsup.ResNet",
    "depth": 18,
    "stem_channels": 8,
    "base_channels": 8,
    "strides": (1, 2, 2, 1),
    "out_indices": (4,),
}
PIPELINE = [
    {"type": "LoadRGBImage"},
    {"type": "LoadMask", "optional": True},
    {"type": "ResizeShortSide", "size": 40},
    {"type": "PackInputs"},
]
LOADER = {"splits": "${facts.evaluated_splits}", "dataset": {"pipeline": PIPELINE}}
DISTANCE_MATCHING = {
    "type": "Test",
    "protocol": {"type": "DistanceMatching"},
    "model": {"type": "DistanceMatcher", "backbone": NARROW, "k": 5},
    "weights": "${facts.weights}",
    "test_dataloader": {**LOADER, "batch_size": 4},
}


def segmentor(num_outputs="${facts.num_outputs}"):
    """Config of a segmentor on ``NARROW``."""
    return {
        "type": "PassSegmentor",
        "data_preprocessor": {
            "type": "mmseg.SegDataPreProcessor",
            "mean": [123.675, 116.28, 103.53],
            "std": [58.395, 57.12, 57.375],
        },
        "backbone": dict(NARROW),
        "decode_head": {"type": "PassHead", "num_classes": num_outputs},
    }


def spread_norms(model):
    """Let batch norms tell images apart, as trained ones do."""
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.weight, 0.5, 1.5)
            torch.nn.init.normal_(part.bias, std=0.5)


def match_distances(rank, folder, root, weights):
    """One of two processes."""
    stages = {"distance_matching": DISTANCE_MATCHING}
    config = {"data_root": root, "num_workers": 0, "weights": weights, "stages": stages}
    evaluate(Context(Config(config), WorkDir(f"{folder}/run")), "distance_matching")
