"""The semi-supervised protocol: fine-tuning on the labelled one percent (section 3.2.1)."""

from typing import ClassVar

from luss.evaluation.results import Results
from luss.models.segmentors.heads import fill_num_classes
from luss.pipeline.context import Context
from luss.pipeline.inference import load_model
from luss.pipeline.protocols.predictions import (
    evaluation_splits,
    metrics_by_split,
    predict_split,
    segment,
)
from luss.pipeline.protocols.protocol_stage import ProtocolStage
from luss.pipeline.sound_masks import require_sound_masks
from luss.pipeline.train_stage import TrainStage
from luss.registry import MODELS, STAGES

__all__ = ["FinetuneSemiStage", "SemiSupervisedStage"]


@STAGES.register_module()
class FinetuneSemiStage(TrainStage):
    """Trains a segmentor on the true masks of ``train-semi``; ignored pixels are left out.

    Args: see :class:`TrainStage`. The number of classes is read off the class folders.
    """

    def model_config(self, context: Context) -> dict:
        """The segmentor's, with a class for each true one and 'other'."""
        config, where = super().model_config(context), f"stages.{self.name}.model"
        return fill_num_classes(config, context.num_true_classes + 1, where)

    def dataset_config(self, context: Context) -> dict:
        """The labelled training images."""
        return {**super().dataset_config(context), "split": "train-semi", "require_masks": True}

    def check(self, context: Context) -> None:
        """As :class:`TrainStage`, and look through the masks."""
        super().check(context)
        require_sound_masks(context, "train-semi")


@STAGES.register_module()
class SemiSupervisedStage(ProtocolStage):
    """Evaluates a segmentor that learnt true classes; there is nothing to match.

    Args:
        name: see :class:`Stage`.
        model_from: the stage that trained it.
        **kwargs: see :class:`ProtocolStage`.
    """

    protocol = "semi_supervised"
    settings: ClassVar[tuple[str, ...]] = ("data",)

    def __init__(self, name: str, *, model_from: str = "finetune_semi", **kwargs) -> None:
        super().__init__(name, model_from, **kwargs)

    def check(self, context: Context) -> None:
        """Build the model and the evaluation sets."""
        MODELS.build(self.segmentor_config(context, context.num_true_classes + 1))
        super().check(context)

    def evaluate(self, context: Context) -> Results:
        """Predict, count, write results."""
        checkpoint = self.checkpoint_path(context)
        classes = context.num_true_classes
        config = self.segmentor_config(context, classes + 1)
        model = load_model(config, checkpoint, context.device)
        counts = {
            split: predict_split(
                context,
                split,
                segment(model),
                self.folder(context, split),
                pipeline=self.pipeline,
                num_generated=classes,
                boundary=self.boundary,
                batch_size=self.batch_size,
            )
            for split in evaluation_splits(context)
        }
        counted = {split: found for split, found in counts.items() if found is not None}
        results = metrics_by_split(counted, self.metrics)
        facts = {"checkpoint": f"{checkpoint.parent.name}/{checkpoint.name}"}
        self.write(context, {self.protocol: results}, facts)
        return results
