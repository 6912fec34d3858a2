"""Weights of a backbone that is only tested."""

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook

from luss.engine.bare_model import bare_model
from luss.engine.foreign_weights import build_backbone
from luss.registry import HOOKS

__all__ = ["BackboneWeightsHook"]


@HOOKS.register_module()
class BackboneWeightsHook(Hook):
    """Hook that loads the backbone of a model that is only tested.

    Args:
        weights: a path, or a dict, see :class:`luss.models.backbones.weights.WeightsEntry`; None
            for random weights, with a warning.
        seed: of random weights.
    """

    # Before hooks that use the backbone.
    priority = "ABOVE_NORMAL"

    def __init__(self, weights: str | Mapping[str, Any] | None = None, seed: int = 0) -> None:
        self.weights = weights
        self.seed = seed

    def before_test(self, runner) -> None:
        """Fill the backbone.

        Raises:
            LussError: if the file is missing, holds code, or does not fit in name or shape.
        """
        filled = build_backbone(runner.cfg["model"]["backbone"], self.weights, self.seed)
        bare_model(runner.model).backbone.load_state_dict(filled.state_dict())
