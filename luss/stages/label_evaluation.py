"""The labels of label generation against true masks, before fine-tuning (table 10d)."""

from typing import ClassVar

from luss.errors import LussError
from luss.label_generation import PixelLabeller
from luss.pipeline.context import Context
from luss.registry import FOREGROUND_SOURCES, MODELS, STAGES
from luss.stages.fully_unsupervised import EvaluateStage, evaluating_matcher, other_than
from luss.stages.label_generation_stage import LabelGenerationStage
from luss.stages.map_folders import require_maps, with_stand_in_folders
from luss.stages.other_stage import other_stage

__all__ = ["EvaluateLabelsStage"]


@STAGES.register_module()
class EvaluateLabelsStage(EvaluateStage):
    """As :class:`EvaluateStage`, of the labels that the segmentor would be trained on.

    Args:
        name: see :class:`Stage`.
        model_from: the stage whose model labels are made from, as of that stage.
        labels_from: the label generation stage.
        matcher: config of one of ``MATCHERS``; by default that of the stage that evaluates the
            model trained on these labels.
        second_matcher: see :class:`EvaluateStage`.
        **kwargs: see :class:`EvaluateStage`.
    """

    protocol = "before_fine_tuning"
    decides_matcher: ClassVar[bool] = False
    tests_segmentor: ClassVar[bool] = False

    def __init__(
        self,
        name: str,
        *,
        model_from: str = "pixel_attention",
        labels_from: str = "label_generation",
        matcher: dict | None = None,
        second_matcher: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            name,
            model_from=model_from,
            labels_from=labels_from,
            matcher=matcher,
            second_matcher=second_matcher,
            **kwargs,
        )
        self._given = matcher, second_matcher
        self.named = (*self.named, labels_from)

    def matchers(self, context: Context) -> tuple[dict, dict]:
        """Those that are given, or those of the evaluation after fine-tuning."""
        matcher, second = self._given
        if matcher is None:
            matcher = evaluating_matcher(context, self.labels_from)
        return matcher, second or other_than(matcher)

    def check(self, context: Context) -> None:
        """Build what the test needs.

        Raises:
            LussError: if labels were made from another model than this stage reads, or photos to
                predict have no map of foreground.
        """
        labels = self._label_generation(context)
        used = labels.model_from
        if self.model_from != used:
            raise LussError(
                f"stages.{self.name}.model_from is {self.model_from!r}, but "
                f"{self.labels_from!r} makes labels from the model of stage {used!r}; set "
                f"stages.{self.name}.model_from={used!r}"
            )
        super().check(context)
        foreground = labels.parts(context)["foreground"]
        if with_stand_in_folders(foreground, context.work_dir.root) == foreground:
            loaders = {split: self.dataloader(context, split) for split in self.splits(context)}
            source = FOREGROUND_SOURCES.build(foreground)
            require_maps(source, loaders, context)

    def check_model(self, context: Context) -> None:
        """Build the model, also where the maps that it reads do not exist yet.

        Raises:
            LussError: if it does not fit.
        """
        MODELS.build(with_stand_in_folders(self.stated_model(context), context.work_dir.root))

    def stated_model(self, context: Context) -> dict:
        """Return the model that labels are made from, with the parts of label generation."""
        labels = self._label_generation(context)
        parts = labels.parts(context)
        folder = context.work_dir.stage(self.labels_from)
        return {
            "type": PixelLabeller.__name__,
            "model": {
                **super().stated_model(context),
                "data_preprocessor": dict(labels.preprocessor),
            },
            "centroids": str(folder / "centroids.npz"),
            "threshold": str(folder / "threshold.json"),
            "foreground": parts["foreground"],
            "rule": parts["threshold"],
            "writer": parts["writer"],
        }

    def _label_generation(self, context: Context) -> LabelGenerationStage:
        where = f"stages.{self.name}.labels_from"
        return other_stage(context, self.labels_from, LabelGenerationStage, where)
