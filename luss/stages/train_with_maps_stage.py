"""Training on photos that come with maps of foreground."""

from luss.pipeline.context import Context
from luss.registry import STAGES
from luss.stages.map_folders import (
    maps_of,
    require_reader,
    with_map_folders,
    with_stand_in_maps,
)
from luss.stages.train_stage import TrainStage

__all__ = ["TrainWithMapsStage"]


@STAGES.register_module()
class TrainWithMapsStage(TrainStage):
    """Trains as :class:`TrainStage` does, on views that bring the photo's map of foreground.

    The pipeline has a ``LoadForegroundMap`` before ``MultiCrop``, whose folder is filled in.

    Args:
        name: see :class:`TrainStage`.
        maps_from: the stage that makes the maps.
        **kwargs: see :class:`TrainStage`.
    """

    def __init__(self, name: str, maps_from: str = "foreground", **kwargs) -> None:
        requires = (*kwargs.pop("requires", ()), maps_from)
        super().__init__(name, requires=requires, **kwargs)
        self.maps_from = maps_from

    def check(self, context: Context) -> None:
        """Also refuse a pipeline that loads no maps.

        Raises:
            LussError: likewise.
        """
        require_reader(self.train_dataloader["dataset"], f"stages.{self.name}")
        super().check(context)

    def dataset_config(self, context: Context) -> dict:
        """The training set, whose transforms know where the maps lie."""
        config = super().dataset_config(context)
        split = config.get("split", "train")
        return with_map_folders(config, maps_of(self.maps_from, context), split)

    def unlabelled_dataset_config(self, context: Context) -> dict:
        """The same with maps that are made up, since the real ones are yet to come."""
        return with_stand_in_maps(super().dataset_config(context))
