"""The labels of label generation against true masks, before fine-tuning (table 10d)."""

from luss.label_generation import PixelLabeller
from luss.pipeline.context import Context
from luss.registry import STAGES
from luss.stages.fully_unsupervised import EvaluateStage

__all__ = ["EvaluateLabelsStage"]


@STAGES.register_module()
class EvaluateLabelsStage(EvaluateStage):
    """As :class:`EvaluateStage`, of the labels that the segmentor would be trained on.

    Args:
        name: see :class:`Stage`.
        model_from: the stage that trained pixel attention.
        labels_from: the label generation stage.
        **kwargs: see :class:`EvaluateStage`.
    """

    protocol = "before_fine_tuning"

    def __init__(
        self,
        name: str,
        *,
        model_from: str = "pixel_attention",
        labels_from: str = "label_generation",
        **kwargs,
    ) -> None:
        super().__init__(name, model_from=model_from, labels_from=labels_from, **kwargs)
        self.requires = (*self.requires, labels_from)

    def stated_model(self, context: Context) -> dict:
        """That of pixel attention, with the parts of label generation."""
        settings = context.config["stages"][self.labels_from]
        parts = STAGES.build({**settings, "name": self.labels_from}).parts(context)
        folder = context.work_dir.stage(self.labels_from)
        return {
            **super().stated_model(context),
            "type": PixelLabeller.__name__,
            "centroids": str(folder / "centroids.npz"),
            "threshold": str(folder / "threshold.json"),
            "foreground": parts["foreground"],
            "rule": parts["threshold"],
            "writer": parts["writer"],
            "data_preprocessor": dict(settings["preprocessor"]),
        }
