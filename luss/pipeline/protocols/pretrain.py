"""Pretraining that can be passed over, for a backbone that was pretrained elsewhere."""

from pathlib import Path
from typing import ClassVar

from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log

from luss.engine.checkpoint import save
from luss.errors import LussError
from luss.pipeline.context import Context
from luss.pipeline.protocols.backbone import build_backbone
from luss.pipeline.train_stage import TrainStage
from luss.registry import STAGES

__all__ = ["PretrainStage"]


@STAGES.register_module()
class PretrainStage(TrainStage):
    """Trains as :class:`TrainStage` does, or takes the backbone's weights from a file.

    With the config's top-level ``weights`` (or ``weights`` of the stage), nothing is trained: the
    file's backbone becomes the stage's checkpoint, from which later stages start as ever.

    Args:
        name: see :class:`TrainStage`.
        weights: a checkpoint of luss, of OpenMMLab, or of a bare network with the same names.
        **kwargs: see :class:`TrainStage`.
    """

    settings: ClassVar[tuple[str, ...]] = (*TrainStage.settings, "weights")

    def __init__(self, name: str, weights: str | None = None, **kwargs) -> None:
        super().__init__(name, **kwargs)
        self.weights = weights

    def check(self, context: Context) -> None:
        """Refuse weights that do not fit, or what would hinder training.

        Raises:
            LussError: saying which.
        """
        if self._weights(context) is None:
            super().check(context)
        else:
            self._backbone(context)

    def run(self, context: Context) -> dict:
        """Train to the last epoch, or take the weights."""
        weights = self._weights(context)
        if weights is None:
            return super().run(context)
        if is_main_process():
            tensors = self._backbone(context).state_dict()
            state = {f"backbone.{name}": value for name, value in tensors.items()}
            path = context.work_dir.stage(self.name) / "iter_0.pth"
            save(path, {"state_dict": state, "meta": {}})
        barrier()
        print_log(f"stage {self.name}: not trained, the backbone is that of {weights}", "current")
        return {"checkpoint": "iter_0.pth", "weights": weights}

    def _weights(self, context: Context) -> str | None:
        given = self.weights or context.config.get("weights")
        return str(Path(given).expanduser()) if given else None

    def _backbone(self, context: Context):
        config = self.model_config(context)
        if "backbone" not in config:
            raise LussError(f"stages.{self.name}.model has no 'backbone' to take weights for")
        return build_backbone(config["backbone"], self._weights(context), "cpu", context.seed)
