"""Checks of a segmentor of nearest centroids before anything runs."""

from torch import nn

from luss.errors import LussError
from luss.label_generation import CentroidHead
from luss.label_generation.foreground import FrameDistance
from luss.pipeline.context import Context
from luss.pipeline.resolving import resolved_stage, stages_of
from luss.registry import CHECKS, FOREGROUND_SOURCES
from luss.stages.test import Test

__all__ = ["check_centroids"]


@CHECKS.register_module(name="CentroidLoop")
def check_centroids(stage: Test, context: Context, model: nn.Module) -> None:
    """Compare the head of a stage with a ``CentroidLoop`` with the source of its threshold.

    Raises:
        LussError: if the model has another head, or the threshold is that of other foreground maps
            than the head computes, or each image has its own.
    """
    head = getattr(model, "decode_head", None)
    if not isinstance(head, CentroidHead):
        raise LussError(
            f"stages.{stage.name}.model has no decode_head of type CentroidHead, which "
            "CentroidLoop fills; set it, or choose another loop"
        )
    source = stage.source_of("test_cfg.threshold")
    labels = stages_of(context)[source] if source is not None else None
    if not isinstance(labels, Test):
        return
    where, settings = f"stages.{source}.test_cfg", resolved_stage(labels, context).test_cfg
    _require_equal_maps(head, settings["foreground"], where)
    threshold = settings["threshold"]
    if isinstance(threshold, dict) and threshold.get("over") == "image":
        raise LussError(
            f"{where}.threshold has over='image', but stages.{stage.name} needs one threshold for "
            "all images; remove it, or choose another rule such as AutoThreshold"
        )


def _require_equal_maps(head: CentroidHead, foreground: dict, where: str) -> None:
    found = FOREGROUND_SOURCES.build(dict(foreground))
    if not isinstance(found, FrameDistance) or _settings(found) != _settings(head):
        raise LussError(
            f"{where}.foreground is {foreground}, but the CentroidHead that gets its threshold "
            f"computes a FrameDistance of maps={head.maps} and frame={head.frame}; set equal ones"
        )


def _settings(part: CentroidHead | FrameDistance) -> tuple:
    return None if part.maps is None else tuple(part.maps), part.frame
