"""Checks of stored features before anything runs."""

import shutil
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from torch import Tensor

from luss.engine.loops.feature_loop import dtype_of
from luss.errors import LussError
from luss.label_generation.feature_maps import deepest_map
from luss.models.backbones import extract_maps
from luss.pipeline.context import Context
from luss.registry import CHECKS
from luss.stages.test import Test

__all__ = ["check_features"]

_LOOKED_AT = 5
"""Photos whose sizes are looked at."""


@CHECKS.register_module(name="FeatureLoop")
def check_features(stage: Test, context: Context, model: Any) -> None:
    """Let the backbone of a stage with a ``FeatureLoop`` look at a photo, and list all photos.

    Raises:
        LussError: if the precision is unknown, the model has no backbone, the last map of the
            backbone is not that of the model, which other stages would use, or the disk is too
            small.
    """
    model.eval()
    where = f"stages.{stage.name}"
    dtype = np.dtype(dtype_of(stage.test_cfg.get("precision", "single")))
    if not hasattr(model, "backbone"):
        raise LussError(
            f"{where}.model is a {type(model).__name__}, which has no 'backbone'; choose another "
            "model, such as '${pretrain.model}'"
        )
    datasets = [context.dataset(loader["dataset"]) for loader in stage.loaders(context).values()]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        inputs = [datasets[0][0]["inputs"][None]]
        images = model.data_preprocessor({"inputs": inputs})["inputs"][0]
        maps = extract_maps(model.backbone, images)
        if not torch.equal(maps[-1], deepest_map(model, images)):
            raise LussError(
                f"{where}.model: the features of {type(model).__name__} are not the last map of "
                "its backbone, which would be stored; use BackboneFeatures"
            )
    per_pixel = sum(one.numel() for one in maps) * dtype.itemsize / _pixels(images)
    needed = sum(per_pixel * _mean_pixels(photos) * len(photos) for photos in datasets)
    folder = next(path for path in context.work_dir.root.absolute().parents if path.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LussError(
            f"{where} would write about {needed / 1e9:.3g} GB, but the disk of {folder} has "
            f"{free / 1e9:.3g} GB free; set {where}.test_cfg.precision='half' for half of it, "
            "choose another work dir or a smaller short_side, or let stages read photos "
            "(configs/pretrained/in50.py)"
        )


def _pixels(images: Tensor) -> int:
    return images.shape[-2] * images.shape[-1]


def _mean_pixels(photos: BaseDataset) -> float:
    """Return the mean number of pixels of a few photos, as the network sees them."""
    places = range(0, len(photos), max(1, len(photos) // _LOOKED_AT))[:_LOOKED_AT]
    return float(np.mean([_pixels(photos[place]["inputs"]) for place in places]))
