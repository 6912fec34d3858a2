"""Step 3: a segmentor learns the pseudo labels (section 4.4)."""

from typing import ClassVar

from luss.models.segmentors.heads import fill_num_classes
from luss.pipeline.context import Context
from luss.registry import STAGES
from luss.stages.train_stage import TrainStage

__all__ = ["FinetuneStage"]


@STAGES.register_module()
class FinetuneStage(TrainStage):
    """Trains a segmentor on the pseudo labels of another stage.

    Args:
        name: see :class:`Stage`.
        labels_from: the label generation stage.
        **kwargs: see :class:`TrainStage`.
    """

    settings: ClassVar[tuple[str, ...]] = (*TrainStage.settings, "num_categories")

    def __init__(self, name: str, labels_from: str = "label_generation", **kwargs) -> None:
        requires = (*kwargs.pop("requires", ()), labels_from)
        super().__init__(name, requires=requires, **kwargs)
        self.labels_from = labels_from

    def model_config(self, context: Context) -> dict:
        """The segmentor's, with a class for each category and 'other'."""
        config, where = super().model_config(context), f"stages.{self.name}.model"
        return fill_num_classes(config, context.num_categories + 1, where)

    def dataset_config(self, context: Context) -> dict:
        """The training images that have generated masks."""
        config = super().dataset_config(context)
        root = context.work_dir.stage(self.labels_from) / "pseudo_labels"
        find = {"type": "FindMask", "root": str(root), "num_classes": context.num_categories}
        config["pipeline"] = [find, *config["pipeline"]]
        # Images that could not be read have no label.
        if without := context.facts_of(self.labels_from).get("unlabelled"):
            config["without"] = without
        return config

    def unlabelled_dataset_config(self, context: Context) -> dict:
        """All images, with masks that are made up."""
        config = super().dataset_config(context)
        made_up = {"type": "StandInMask", "num_classes": context.num_categories}
        steps = [made_up if s.get("type") == "LoadMask" else s for s in config["pipeline"]]
        return {**config, "pipeline": steps}
