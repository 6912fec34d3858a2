"""Step 3: a segmentor learns the pseudo labels (section 4.4)."""

from typing import ClassVar

from luss.errors import LussError
from luss.models.segmentors.heads import fill_num_classes
from luss.pipeline.context import Context
from luss.registry import STAGES
from luss.stages.train_stage import TrainStage

__all__ = ["FinetuneStage"]

_FIND = "FindMask"


@STAGES.register_module()
class FinetuneStage(TrainStage):
    """Trains a segmentor on the pseudo labels of another stage.

    The pipeline finds each photo's labels by ``dict(type="FindMask",
    root="${label_generation.pseudo_labels}", num_classes="${facts.num_categories}")``.
    """

    settings: ClassVar[tuple[str, ...]] = (*TrainStage.settings, "num_categories")

    def model_config(self, context: Context) -> dict:
        """Return the segmentor's configuration, with a class for each category and 'other'."""
        config, where = super().model_config(context), f"stages.{self.name}.model"
        return fill_num_classes(config, context.num_categories + 1, where)

    def check(self, context: Context) -> None:
        """Check that the pipeline finds labels, then dry-run the training.

        Raises:
            LussError: if it does not; and as :meth:`TrainStage.check`.
        """
        if not any(step.get("type") == _FIND for step in self._pipeline):
            raise LussError(
                f"stages.{self.name}.train_dataloader.dataset.pipeline has no {_FIND}, so that no "
                f"labels would be found; begin it with dict(type={_FIND!r}, "
                "root='${label_generation.pseudo_labels}', num_classes='${facts.num_categories}')"
            )
        super().check(context)

    @property
    def _pipeline(self) -> list[dict]:
        return self.train_dataloader["dataset"].get("pipeline", [])

    def unlabelled_dataset_config(self, context: Context) -> dict:
        """Return the training set with made-up masks, since labels may not exist yet."""
        config = super().dataset_config(context)
        config.pop("without", None)
        made_up = {"type": "StandInMask", "num_classes": context.num_categories}
        steps = [step for step in config["pipeline"] if step.get("type") != _FIND]
        steps = [made_up if step.get("type") == "LoadMask" else step for step in steps]
        return {**config, "pipeline": steps}
