"""Input of the objectives: stage features of all views of a batch, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from luss.errors import LussError
from luss.structures.geometry import ViewGeometry

__all__ = ["Assignment", "ViewFeatures"]


@dataclass
class Assignment:
    """Codes and prototypes that the clustering objective shares with D2S and ClusteringP2P.

    Attributes:
        codes: (A, N, K) float, soft assignments of the A assigning crops; rows sum to one.
        prototypes: (K, D) float, the prototypes' weights, detached.
        epsilon: smoothness of the codes; objectives use it to compute further codes.
        sinkhorn_iterations: iterations of Sinkhorn-Knopp, for the same purpose.
    """

    codes: Tensor
    prototypes: Tensor
    epsilon: float = 0.05
    sinkhorn_iterations: int = 3


@dataclass
class ViewFeatures:
    """Stage features of V views of N photos.

    Views of one resolution form a group, view-major: rows ``v * N`` to ``(v + 1) * N`` belong to
    view ``v`` of the group. The first group holds the large crops.

    Attributes:
        groups: for each resolution a dict from stage (1 to 4, numbered as in the paper) to a float
            tensor (views of the group * N, channels, height, width).
        batch_size: N.
        geometry: one entry per view, in order.
        assignment: set by the clustering objective, read by the objectives after it.
        images: the views, V tensors (N, 3, height, width), the large crops first; for objectives
            that run their own backbone.
    """

    groups: list[dict[int, Tensor]]
    batch_size: int
    geometry: list[ViewGeometry]
    assignment: Assignment | None = None
    images: Sequence[Tensor] = field(default_factory=tuple)

    @property
    def deepest(self) -> int:
        """Return the number of the backbone's last stage."""
        return max(self.groups[0])

    def require_assignment(self, objective: str) -> Assignment:
        """Return codes and prototypes of the clustering objective.

        Args:
            objective: name of the objective that reads them, for the error.

        Raises:
            LussError: if no clustering objective ran before.
        """
        if self.assignment is None:
            raise LussError(
                f"{objective} needs the codes and prototypes of a clustering objective, but none "
                "ran before it; list a Clustering objective before it in the pretrainer's "
                "objectives"
            )
        return self.assignment

    def large(self, stage: int) -> Tensor:
        """Return features (2 N, channels, height, width) of the two large crops at a stage.

        Raises:
            LussError: if the backbone does not return the stage, or there is only one large crop.
        """
        if stage not in self.groups[0]:
            raise LussError(
                f"stage {stage} is needed, but the backbone returns stages "
                f"{sorted(self.groups[0])}; add it to the pretrainer's stages"
            )
        features = self.groups[0][stage]
        if len(features) < 2 * self.batch_size:
            raise LussError(
                "the first resolution has one view per photo, expected the two large crops; set "
                "count=2 in the first entry of MultiCrop's views"
            )
        return features[: 2 * self.batch_size]

    def pooled(self) -> Tensor:
        """Return globally averaged features (V N, channels) of all views at the last stage."""
        return torch.cat([group[self.deepest].mean(dim=(2, 3)) for group in self.groups])
