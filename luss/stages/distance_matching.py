"""The distance matching protocol: k-NN of pixels among labelled vectors (section 3.2.1)."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from mmengine.logging import print_log

from luss.engine.foreign_weights import fill_backbone
from luss.errors import LussError
from luss.evaluation.distance_bank import DistanceBank
from luss.models.backbones.weights import WeightsEntry, weights_entry
from luss.pipeline.context import Context
from luss.registry import MODELS, STAGES
from luss.stages.protocol_stage import ProtocolStage
from luss.stages.sound_masks import require_sound_masks

__all__ = ["DistanceMatchingStage"]


@STAGES.register_module()
class DistanceMatchingStage(ProtocolStage):
    """Labels each pixel by the labelled vectors nearest to its feature; nothing is trained.

    After a stage that trained a model with a ``backbone``, or on its own with any backbone of
    mmcls, mmseg, mmselfsup or luss, whose weights come from a local file: ``checkpoint``, the
    stage's ``weights``, or the config's top-level ``weights``; random ones without any.

    Args:
        name: see :class:`Stage`.
        model_from: the stage whose backbone is evaluated; by default 'pretrain' if no backbone
            is given.
        backbone: config of a separate backbone; or, with ``model_from``, one to read the
            weights of that stage's backbone into, such as a plain vision transformer for those of
            a masked autoencoder.
        weights: a path, or a dict as :class:`luss.models.backbones.weights.WeightsEntry`. Without
            a file in it, it sets how that of ``checkpoint`` or the top level is read.
        layer: name of the backbone's module whose output is used; by default its last output.
        preprocessor: config of the data preprocessor; by default ImageNet's mean and deviation.
        k: neighbours that vote.
        temperature: votes weigh exp(cosine / temperature).
        batch_size: images that are loaded together; those of one size go through the backbone
            together.
        **kwargs: see :class:`ProtocolStage`.
    """

    protocol = "distance_matching"
    example_configs = "configs/distance_matching/"
    without_entry_after = "pretrain"
    tests_segmentor: ClassVar[bool] = False
    settings: ClassVar[tuple[str, ...]] = ("seed", "data", "weights")

    def __init__(
        self,
        name: str,
        *,
        model_from: str | None = None,
        backbone: dict | None = None,
        weights: str | dict | None = None,
        layer: str | None = None,
        preprocessor: dict | None = None,
        k: int = 10,
        temperature: float = 0.07,
        batch_size: int = 8,
        **kwargs,
    ) -> None:
        trained = model_from or ("pretrain" if backbone is None else None)
        if trained and weights is not None:
            raise LussError(
                f"stages.{name} has weights and evaluates those of stage {trained!r}; give one of "
                "the two"
            )
        super().__init__(name, trained, batch_size=batch_size, **kwargs)
        self.backbone = backbone
        self.weights = weights
        self.layer = layer
        self.preprocessor = preprocessor or {"type": "ViewPreprocessor"}
        self.k = k
        self.temperature = temperature

    def runner_config(self, context: Context) -> dict:
        """As of all protocols, with hooks that fill the backbone, then the bank."""
        weights = self._given_weights(context) or self.checkpoint_path(context)
        return {
            **super().runner_config(context),
            "load_from": None,
            "custom_hooks": [
                {
                    "type": "BackboneWeightsHook",
                    "weights": str(weights) if isinstance(weights, Path) else weights,
                    "seed": context.seed,
                },
                {
                    "type": "DistanceBankHook",
                    "dataloader": self.dataloader(context, "train-semi"),
                    "file": str(self._bank_file(context)),
                },
                *self.custom_hooks,
            ],
        }

    def model_config(self, context: Context) -> dict:
        """Return the configuration of the matcher."""
        return {
            "type": "DistanceMatcher",
            "backbone": self._backbone_config(context),
            "layer": self.layer,
            "k": self.k,
            "temperature": self.temperature,
            "data_preprocessor": dict(self.preprocessor),
        }

    def check_model(self, context: Context) -> None:
        """Build the model, and fill its backbone."""
        model = MODELS.build(self.model_config(context))
        self.check_patches(context, model.backbone, lambda images: [model(images)])
        if (given := self._given_weights(context)) is not None:
            fill_backbone(model.backbone, given, f"stages.{self.name}.weights")

    def check(self, context: Context) -> None:
        """As of all protocols, where there are labelled images."""
        if not (context.splits_with_masks and "train-semi" in context.description.masked):
            self.check_model(context)
            return
        context.dataset(self.dataloader(context, "train-semi")["dataset"])
        require_sound_masks(context, "train-semi")
        super().check(context)

    def run(self, context: Context) -> dict:
        """Evaluate if there are labelled images; otherwise skip the protocol."""
        if not context.splits_with_masks or "train-semi" in context.description.masked:
            return super().run(context)
        print_log(f"{self.protocol}: train-semi has no masks, so there is no bank", "current")
        return {"splits": []}

    def checkpoint_path(self, context: Context) -> Path | None:
        """Return the path of the weights to evaluate; None for random ones."""
        given = self._given_weights(context)
        if given is None:
            return super().checkpoint_path(context)
        return Path(WeightsEntry.parse(given, f"stages.{self.name}.weights").file).expanduser()

    def facts(self, context: Context) -> dict:
        """Return the backbone and how pixels vote."""
        return {
            "backbone": str(self._backbone_config(context)["type"]),
            "weights": super().facts(context)["checkpoint"] or "random",
            "k": self.k,
            "temperature": self.temperature,
        }

    def facts_of_test(self, context: Context) -> dict:
        """Return the size of the bank."""
        bank = DistanceBank.read(self._bank_file(context))
        return {"bank": f"{len(bank.labels)} vectors of {len(np.unique(bank.images))} images"}

    def _bank_file(self, context: Context) -> Path:
        return context.work_dir.stage(self.name) / "bank.npz"

    def _backbone_config(self, context: Context) -> dict:
        if self.backbone is not None:
            return dict(self.backbone)
        model = self.stated_model(context)
        if "backbone" not in model:
            raise LussError(
                f"the model of stage {self.model_from!r} has no 'backbone'; give stages."
                f"{self.name}.backbone and a checkpoint"
            )
        return dict(model["backbone"])

    def _given_weights(self, context: Context) -> str | dict | None:
        if self.model_from is not None:
            return self.checkpoint
        return weights_entry(self.weights, self.checkpoint or context.config.get("weights"))
