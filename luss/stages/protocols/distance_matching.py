"""The distance matching protocol: k-NN of pixels among labelled vectors (section 3.2.1)."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import nn

from luss.evaluation.distance_bank import DistanceBank
from luss.models.backbones.weights import WeightsEntry
from luss.pipeline.context import Context
from luss.registry import PROTOCOLS
from luss.stages.protocols.protocol import EvaluatedStage, Protocol
from luss.stages.sound_masks import require_sound_masks

__all__ = ["DistanceMatching"]

_AFTER = "pretrain"


@PROTOCOLS.register_module()
class DistanceMatching(Protocol):
    """Distance matching: the labelled vectors nearest to a pixel's feature vote for its class.

    Nothing is trained. The stage's model is a :class:`luss.evaluation.DistanceMatcher` with any
    backbone, such as that of another stage, ``"${pretrain.model.backbone}"``. ``weights`` of the
    stage are those of the backbone: ``"${pretrain.checkpoint}"``, or an external file. Without
    them, weights are random, and a warning is logged.

    Args:
        **kwargs: see :class:`Protocol`.
    """

    name = "distance_matching"
    example_configs = "configs/distance_matching/"
    reads_backbone: ClassVar[bool] = True

    @classmethod
    def entry_after(cls, stages: Mapping[str, Mapping], pipeline: list[dict]) -> dict | None:
        """Return the stage that evaluates the backbone of the stage ``pretrain``, if it has one."""
        model = stages.get(_AFTER, {}).get("model")
        if not isinstance(model, Mapping) or "backbone" not in model:
            return None
        return {
            "type": "Test",
            "protocol": {"type": cls.__name__},
            "model": {"type": "DistanceMatcher", "backbone": f"${{{_AFTER}.model.backbone}}"},
            "weights": f"${{{_AFTER}.checkpoint}}",
            "test_dataloader": {
                "splits": "${facts.evaluated_splits}",
                "batch_size": 8,
                "dataset": {"pipeline": pipeline},
            },
        }

    def hooks(self, stage: EvaluatedStage, context: Context) -> list[dict]:
        """Return the hook that fills the bank."""
        return [
            {
                "type": "DistanceBankHook",
                "dataloader": stage.loader_of_split(context, "train-semi"),
                "file": str(_bank_file(stage, context)),
            }
        ]

    def check(self, stage: EvaluatedStage, context: Context, model: nn.Module) -> None:
        """Check sizes of photos, and the masks of ``train-semi``."""
        stage.require_whole_patches(context, model, run=lambda images: [model(images)])
        if context.splits_with_masks and self.passes_over(context) is None:
            context.dataset(stage.loader_of_split(context, "train-semi")["dataset"])
            require_sound_masks(context, "train-semi")

    def passes_over(self, context: Context) -> str | None:
        """Return that there are no labelled photos, if so."""
        if not context.splits_with_masks or "train-semi" in context.description.masked:
            return None
        return "train-semi has no masks, so there is no bank"

    def facts(self, stage: EvaluatedStage, context: Context) -> dict:
        """Return the backbone and how pixels vote."""
        model, file = stage.model_config(), None
        if stage.weights is not None:
            file = Path(WeightsEntry.parse(stage.weights, f"stages.{stage.name}.weights").file)
        return {
            "backbone": str(model["backbone"]["type"]),
            "weights": f"{file.parent.name}/{file.name}" if file else "random",
            "k": model.get("k", 10),
            "temperature": model.get("temperature", 0.07),
        }

    def facts_of_test(self, stage: EvaluatedStage, context: Context) -> dict:
        """Return the size of the bank."""
        bank = DistanceBank.read(_bank_file(stage, context))
        return {"bank": f"{len(bank.labels)} vectors of {len(np.unique(bank.images))} images"}


def _bank_file(stage: EvaluatedStage, context: Context) -> Path:
    return context.work_dir.stage(stage.name) / "bank.npz"
