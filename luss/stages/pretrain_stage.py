"""Pretraining that can be passed over, for a backbone that was pretrained elsewhere."""

from typing import ClassVar

from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from torch import Tensor

from luss.engine.checkpoint import save
from luss.engine.foreign_weights import read_parts
from luss.errors import LussError
from luss.models.backbones.weights import WeightsEntry, weights_entry
from luss.pipeline.context import Context
from luss.registry import STAGES
from luss.stages.train_stage import TrainStage

__all__ = ["PretrainStage"]


@STAGES.register_module()
class PretrainStage(TrainStage):
    """Trains as :class:`TrainStage` does, or takes the backbone's weights from a file.

    With the config's top-level ``weights`` (or ``weights`` of the stage), nothing is trained: the
    file's backbone becomes the stage's checkpoint, from which later stages start as ever, together
    with the projector and the prototypes where the file has them.

    Args:
        name: see :class:`TrainStage`.
        weights: a checkpoint's path, or a dict of file, layout, key, prefix and rename, see
            :class:`luss.models.backbones.weights.WeightsEntry`. Without a file in it, it sets how
            that of the top-level ``weights`` is read.
        **kwargs: see :class:`TrainStage`.
    """

    settings: ClassVar[tuple[str, ...]] = (*TrainStage.settings, "weights")

    def check(self, context: Context) -> None:
        """Check that weights fit, or that training can run.

        Raises:
            LussError: saying which.
        """
        if self.takes_weights(context):
            self.output_state(context)
        else:
            super().check(context)

    def run(self, context: Context) -> dict:
        """Train to the last epoch, or take the weights."""
        if not self.takes_weights(context):
            return super().run(context)
        if is_main_process():
            path = context.work_dir.stage(self.name) / "iter_0.pth"
            save(path, {"state_dict": self.output_state(context), "meta": {}})
        barrier()
        file = WeightsEntry.parse(self._entry(context), f"stages.{self.name}.weights").file
        print_log(f"stage {self.name}: not trained, the backbone is that of {file}", "current")
        return {"checkpoint": "iter_0.pth", "weights": file}

    def takes_weights(self, context: Context) -> bool:
        """Return whether the stage or the config names weights."""
        return self._entry(context) is not None

    def _entry(self, context: Context) -> str | dict | None:
        return weights_entry(self.weights, context.config.get("weights"))

    def output_state(self, context: Context) -> dict[str, Tensor]:
        """As :meth:`TrainStage.output_state`; what the file has where nothing is trained."""
        weights = self._entry(context)
        if weights is None:
            return super().output_state(context)
        config, where = self.model_config(context), f"stages.{self.name}.weights"
        if "backbone" not in config:
            raise LussError(f"stages.{self.name}.model has no 'backbone' to take weights for")
        return self.filled_backbone(config, weights, context) | read_parts(weights, where)
