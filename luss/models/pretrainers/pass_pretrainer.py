"""Step 1 of PASS: one backbone, many objectives, L = L_P2P + L_D2S + L_e (equation 5)."""

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import groupby
from typing import ClassVar

import torch
from mmengine.model import BaseModel
from torch import Tensor

from luss.errors import LussError
from luss.models.backbones import extract_maps, name_stages, probe
from luss.models.objectives.objective import build_objectives, objective_losses, objective_of
from luss.registry import MODELS
from luss.structures import ViewFeatures, ViewGeometry

__all__ = ["PASSPretrainer", "weighted_total"]


def weighted_total(
    losses: dict[str, Tensor], weights: dict[str, float], objectives: Iterable[str] = ()
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the weighted total of named losses, and the values to log.

    Args:
        losses: scalars by name; they are logged unweighted.
        weights: weight by name of a loss, or of an objective (``loss_d2s``) for all its losses
            without their own weight; 1 by default.
        objectives: names of the objectives.

    Returns:
        The scalar to minimise, and ``{"loss": total, **losses}``.

    Raises:
        LussError: if a weight belongs to no loss.
    """
    named = {
        name: name if name in weights else f"loss_{objective_of(name, objectives)}"
        for name in losses
    }
    if unknown := weights.keys() - named.values():
        raise LussError(
            f"loss_weights contains {sorted(unknown)}, but the losses are {sorted(losses)}; "
            "correct the names in loss_weights"
        )
    total = reduce(torch.add, (weights.get(named[n], 1) * loss for n, loss in losses.items()))
    return total, {"loss": total, **losses}


@MODELS.register_module()
class PASSPretrainer(BaseModel):
    """Pretraining model: one backbone whose stage features are the input of all objectives.

    Args:
        backbone: config of any backbone, see :func:`luss.models.backbones.feature_maps`.
        objectives: name -> config. They run in order; each returns a dict of losses, which are
            named ``loss_<objective>`` or ``loss_<objective>_<key>``. D2S must come after
            Clustering. A missing ``in_channels`` is set to the backbone's channels.
        stages: stage number of each output of the backbone, from shallow to deep; by default the
            last one is stage 4.
        loss_weights: see :func:`weighted_total`.
        data_preprocessor: see :class:`luss.models.ViewPreprocessor`.
        init_cfg: see :class:`mmengine.model.BaseModule`.

    Raises:
        LussError: if the backbone does not return these stages, or objectives expect others.
    """

    reads_feature_maps: ClassVar[bool] = True
    """Makes the stage check the backbone with the sizes of its views."""

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
        """Return the feature map (M, channels, height, width) of images (M, 3, H, W) per stage."""
        return dict(zip(self.stages, extract_maps(self.backbone, images), strict=True))

    def view_features(self, inputs: Sequence[Tensor], geometry: Tensor | None) -> ViewFeatures:
        """Compute the features of all views, one batch per resolution.

        Args:
            inputs: V tensors (N, 3, H, W), the large crops first.
            geometry: (N, V, 7) float, one row per view, see
                :meth:`luss.structures.ViewGeometry.unpack`.

        Raises:
            LussError: if the geometry is missing.
        """
        groups = [
            self.extract(torch.cat(list(views)))
            for _, views in groupby(inputs, key=lambda view: view.shape[-2:])
        ]
        return ViewFeatures(
            groups=groups,
            batch_size=len(inputs[0]),
            geometry=ViewGeometry.unpack_views(geometry),
            images=inputs,
        )

    def forward(
        self, inputs: list[Tensor] | Tensor, geometry: Tensor | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | dict[int, Tensor]:
        """Compute losses of a batch of views, or stage features of images.

        Args:
            inputs: V tensors (N, 3, H, W) for losses, one (N, 3, H, W) for features.
            geometry: (N, V, 7), for losses.
            mode: ``loss`` or ``tensor``.
        """
        if mode == "tensor":
            assert isinstance(inputs, Tensor)
            return self.extract(inputs)
        if mode != "loss":
            raise ValueError(f"mode is {mode!r}, expected 'loss' or 'tensor'")
        return objective_losses(self.objectives, self.view_features(list(inputs), geometry))

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the weighted total, see :func:`weighted_total`."""
        return weighted_total(losses, self.loss_weights, self.objectives)
