"""From features, centroids and maps of foreground to pseudo labels on disk (eq. 7)."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.pseudo_labels import (
    apply_threshold,
    image_evidence,
    is_whole_png,
    pixel_evidence,
    write_pseudo_label,
)
from luss.registry import LABEL_WRITERS

__all__ = ["ImageLabels", "PixelLabels"]


@LABEL_WRITERS.register_module()
class PixelLabels:
    """Each pixel of the foreground gets the category of the centroid nearest to its feature.

    Args:
        by: ``'cosine'`` takes the largest cosine, as eq. (7) does for centroids of whole images;
            ``'cluster'`` the smallest distance, by which k-means assigns vectors: for centroids of
            ``PixelEmbeddings`` (table 10a, pixel level).

    Raises:
        LussError: if ``by`` is none of these.
    """

    def __init__(self, by: Literal["cosine", "cluster"] = "cosine") -> None:
        if by not in ("cosine", "cluster"):
            raise LussError(f"PixelLabels: by is {by!r}, expected 'cosine' or 'cluster'")
        self.by = by

    def evidence(
        self, features: Tensor, foreground: Tensor, centroids: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """What the label of each pixel depends on, whatever the threshold.

        Args:
            features: the backbone's last feature map (N, L, h, w).
            foreground: maps (N, 1, h', w') in [0, 1] of any size.
            centroids: (C, L).
            size: (H, W) of the photos.

        Returns:
            Ids (N, H, W) int64 in 1..C and foreground (N, H, W) float32.
        """
        return pixel_evidence(features, foreground, centroids, size, self.by == "cluster")

    def label(self, ids: Tensor, foreground: Tensor, threshold: float) -> Tensor:
        """Ids (H, W), 0 where the foreground (H, W) is strictly below the threshold."""
        return apply_threshold(ids, foreground, threshold)

    def write(self, root: Path, image_id: str, labels: NDArray[np.integer]) -> None:
        """Write the labels (H, W) of a photo, whole or not at all."""
        write_pseudo_label(root, image_id, labels)

    def is_whole(self, root: Path, image_id: str) -> bool:
        """Whether the labels of a photo are there and undamaged."""
        return is_whole_png(self.path(root, image_id))

    def path(self, root: Path, image_id: str) -> Path:
        """Where they lie."""
        return root / f"{image_id}.png"


@LABEL_WRITERS.register_module()
class ImageLabels(PixelLabels):
    """All of the foreground gets the category of the image (table 10a, image level).

    With the pipeline of the embeddings it is the image's cluster: for ``PooledFeatures`` as it is,
    for ``ForegroundEmbeddings(attention=False)`` with ``over_foreground``.

    Args:
        over_foreground: whether the category is that of the features pooled over the foreground,
            not over the whole image.
    """

    def __init__(self, over_foreground: bool = False) -> None:
        self.over_foreground = over_foreground

    def evidence(
        self, features: Tensor, foreground: Tensor, centroids: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """As of :class:`PixelLabels`; the ids of an image are all the same."""
        return image_evidence(features, foreground, centroids, size, self.over_foreground)
