"""Checks of stored features before anything runs."""

from typing import Any

import torch

from luss.engine.loops.feature_loop import dtype_of
from luss.errors import LussError
from luss.label_generation.feature_maps import deepest_map
from luss.models.backbones import extract_maps
from luss.pipeline.context import Context
from luss.registry import CHECKS
from luss.stages.test import Test

__all__ = ["check_features"]


@CHECKS.register_module(name="FeatureLoop")
def check_features(stage: Test, context: Context, model: Any) -> None:
    """Let the backbone of a stage with a ``FeatureLoop`` look at a photo, and list all photos.

    Raises:
        LussError: if the precision is unknown, the model has no backbone, or the last map of the
            backbone is not that of the model, which other stages would use.
    """
    model.eval()
    where = f"stages.{stage.name}"
    dtype_of(stage.test_cfg.get("precision", "single"))
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
