"""The semi-supervised protocol: fine-tuning on the labelled one percent (section 3.2.1)."""

from luss.models.segmentors.heads import fill_num_classes
from luss.pipeline.context import Context
from luss.registry import STAGES
from luss.stages.protocol_stage import ProtocolStage
from luss.stages.sound_masks import require_sound_masks
from luss.stages.train_stage import TrainStage

__all__ = ["FinetuneSemiStage", "SemiSupervisedStage"]


@STAGES.register_module()
class FinetuneSemiStage(TrainStage):
    """Trains a segmentor on the true masks of ``train-semi``; ignored pixels are left out.

    Args: see :class:`TrainStage`. The number of classes is read off the class folders.
    """

    def model_config(self, context: Context) -> dict:
        """Return the segmentor's configuration, with a class for each true one and 'other'."""
        config, where = super().model_config(context), f"stages.{self.name}.model"
        return fill_num_classes(config, context.num_classes + 1, where)

    def dataset_config(self, context: Context) -> dict:
        """Return the configuration of the labelled training images."""
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
    example_configs = "configs/semi_supervised/"

    def __init__(self, name: str, *, model_from: str = "finetune_semi", **kwargs) -> None:
        super().__init__(name, model_from, **kwargs)
