"""What objectives see of a batch: stage features of all its views, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from luss.errors import LussError
from luss.structures.geometry import ViewGeometry

__all__ = ["Assignment", "ViewFeatures"]


@dataclass
class Assignment:
    """What the clustering objective lends to others (D2S, P2P by clustering).

    Attributes:
        codes: (A, N, K) float, soft assignments of the A assigning crops; rows sum to one.
        prototypes: (K, D) float, the prototypes' weights, detached.
        epsilon: smoothness of the codes, for those who make codes of their own.
        sinkhorn_iterations: of the codes, likewise.
    """

    codes: Tensor
    prototypes: Tensor
    epsilon: float = 0.05
    sinkhorn_iterations: int = 3


@dataclass
class ViewFeatures:
    """Stage features of V views of N photos.

    Views of one resolution went through the backbone together and lie behind each other,
    view-major: rows ``v * N`` to ``(v + 1) * N`` of a group belong to its view ``v``. The first
    group holds the large crops.

    Attributes:
        groups: for each resolution a dict from stage (1 to 4, as the paper counts them) to a
            float tensor (views of the group * N, channels, height, width).
        batch_size: N.
        geometry: of each large crop, in order.
        assignment: set by the clustering objective, read by those that come after it.
        images: the views themselves, V tensors (N, 3, height, width), the large crops first; for
            objectives that run a backbone of their own.
    """

    groups: list[dict[int, Tensor]]
    batch_size: int
    geometry: list[ViewGeometry]
    assignment: Assignment | None = None
    images: Sequence[Tensor] = field(default_factory=tuple)

    @property
    def deepest(self) -> int:
        """The last stage of the backbone."""
        return max(self.groups[0])

    def lent_assignment(self, objective: str) -> Assignment:
        """Codes and prototypes of the clustering objective, for one that comes after it.

        Args:
            objective: the one that asks, for the error.

        Raises:
            LussError: if no clustering objective came before.
        """
        if self.assignment is None:
            raise LussError(
                f"{objective} found no codes and prototypes, which the clustering objective lends "
                "to it; list a Clustering objective before it in the pretrainer's objectives"
            )
        return self.assignment

    def large(self, stage: int) -> Tensor:
        """Features (2 N, channels, height, width) of the two large crops at a stage.

        Raises:
            LussError: if the backbone does not give the stage, or there is one large crop only.
        """
        if stage not in self.groups[0]:
            raise LussError(
                f"the backbone gives stages {sorted(self.groups[0])}, but stage {stage} is needed; "
                "add it to the pretrainer's stages"
            )
        features = self.groups[0][stage]
        if len(features) < 2 * self.batch_size:
            raise LussError(
                "the first resolution has one view of each photo, expected the two large crops; "
                "let the first entry of MultiCrop's views have count=2"
            )
        return features[: 2 * self.batch_size]

    def pooled(self) -> Tensor:
        """Globally averaged features (V N, channels) of all views at the deepest stage."""
        return torch.cat([group[self.deepest].mean(dim=(2, 3)) for group in self.groups])
