"""Step 1 of PASS: one backbone, many objectives, L = L_P2P + L_D2S + L_e (equation 5)."""

from itertools import groupby
from typing import ClassVar

import torch
from mmengine.model import BaseModel
from torch import Tensor

from luss.errors import LussError
from luss.models.backbones import maps_of, name_stages, probe
from luss.models.objectives.objective import build_objectives, objective_losses
from luss.registry import MODELS
from luss.structures import ViewFeatures, ViewGeometry

__all__ = ["PASSPretrainer", "weighted_total"]


def weighted_total(
    losses: dict[str, Tensor], weights: dict[str, float]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Total of named losses, and what to log of them.

    Args:
        losses: scalars by name; each is logged unweighted, so that it can be read on its own.
        weights: weight by name of a loss, or of an objective (``loss_d2s``) for all its losses
            that are not named themselves; 1 where absent.

    Returns:
        The scalar to minimise, and ``{"loss": total, **losses}``.

    Raises:
        LussError: if a weight belongs to no loss.
    """
    named = {name: _weight_name(name, weights) for name in losses}
    if unknown := weights.keys() - named.values():
        raise LussError(
            f"loss_weights names {sorted(unknown)}, but the losses are {sorted(losses)}; correct "
            "the names in loss_weights"
        )
    total = sum(weights.get(named[name], 1.0) * loss for name, loss in losses.items())
    return total, {"loss": total, **losses}


def _weight_name(loss: str, weights: dict[str, float]) -> str | None:
    """Name of the weight of a loss: its own, or the longest that it begins with."""
    names = [name for name in weights if loss == name or loss.startswith(f"{name}_")]
    return max(names, key=len, default=None)


@MODELS.register_module()
class PASSPretrainer(BaseModel):
    """Runs the backbone once per view and hands the stage features to each objective.

    Args:
        backbone: config of any backbone, see :func:`luss.models.backbones.feature_maps`.
        objectives: name -> config. They run in order; each returns a dict of losses, which are
            named ``loss_<objective>`` or ``loss_<objective>_<key>``. D2S comes after Clustering.
            Their ``in_channels`` are those of the backbone, and may be left out.
        stages: which stage each output of the backbone is, from shallow to deep; by default the
            last one is stage 4.
        loss_weights: see :func:`weighted_total`.
        data_preprocessor: see :class:`luss.models.ViewPreprocessor`.
        init_cfg: see :class:`mmengine.model.BaseModule`.

    Raises:
        LussError: if the backbone does not give these stages, or objectives expect others.
    """

    reads_feature_maps: ClassVar[bool] = True
    """So that a stage tries the backbone on the sizes of its views."""

    def __init__(
        self,
        backbone: dict,
        objectives: dict[str, dict],
        stages: tuple[int, ...] | None = None,
        loss_weights: dict[str, float] | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        found = name_stages(stages, probe(self.backbone), self.backbone)
        self.stages = tuple(found)
        self.objectives = build_objectives(objectives, found, self.backbone)
        self.loss_weights = dict(loss_weights or {})

    def extract(self, images: Tensor) -> dict[int, Tensor]:
        """Stage -> feature map (M, channels, height, width) of images (M, 3, H, W)."""
        return dict(zip(self.stages, maps_of(self.backbone, images), strict=True))

    def view_features(self, inputs: list[Tensor], geometry: Tensor) -> ViewFeatures:
        """Features of all views; those of one resolution go through the backbone together.

        Args:
            inputs: V tensors (N, 3, H, W), the large crops first.
            geometry: (N, V, 7) float, a row for each view as
                :meth:`luss.structures.ViewGeometry.unpack` reads it.
        """
        groups = [
            self.extract(torch.cat(list(views)))
            for _, views in groupby(inputs, key=lambda view: view.shape[-2:])
        ]
        return ViewFeatures(
            groups=groups,
            batch_size=len(inputs[0]),
            geometry=[ViewGeometry.unpack(packed) for packed in geometry.unbind(dim=1)],
            images=inputs,
        )

    def forward(
        self, inputs: list[Tensor] | Tensor, geometry: Tensor | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | dict[int, Tensor]:
        """Losses of a batch of views (``mode='loss'``), or stage features of images.

        Args:
            inputs: V tensors (N, 3, H, W) for losses, one (N, 3, H, W) for features.
            geometry: (N, V, 7), for losses.
            mode: ``loss`` or ``tensor``.
        """
        if mode == "tensor":
            return self.extract(inputs)
        if mode != "loss":
            raise ValueError(f"mode {mode!r}: a pretrainer knows 'loss' and 'tensor'")
        return objective_losses(self.objectives, self.view_features(inputs, geometry))

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Weigh the losses; see :func:`weighted_total`."""
        return weighted_total(losses, self.loss_weights)
