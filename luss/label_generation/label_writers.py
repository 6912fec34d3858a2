"""Pseudo labels on disk from features, centroids and foreground maps (eq. 7)."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.pseudo_labels import (
    apply_threshold,
    image_evidence,
    is_complete_png,
    pixel_evidence,
    write_pseudo_label,
)
from luss.registry import LABEL_WRITERS

__all__ = ["ImageLabels", "PixelLabels"]


@LABEL_WRITERS.register_module()
class PixelLabels:
    """Labels by pixel: each foreground pixel gets the category of its nearest centroid.

    Args:
        by: ``'cosine'`` for the largest cosine, as in eq. (7) for centroids of images;
            ``'cluster'`` for the smallest distance, as in k-means, for centroids of
            ``PixelEmbeddings`` (table 10a, pixel level).

    Raises:
        LussError: if ``by`` is another value.
    """

    def __init__(self, by: Literal["cosine", "cluster"] = "cosine") -> None:
        if by not in ("cosine", "cluster"):
            raise LussError(f"PixelLabels: by is {by!r}, expected 'cosine' or 'cluster'")
        self.by = by

    def evidence(
        self, features: Tensor, foreground: Tensor, centroids: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Compute category and foreground of each pixel, independent of the threshold.

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
        """Return ids (H, W), 0 where the foreground (H, W) is strictly below the threshold."""
        return apply_threshold(ids, foreground, threshold)

    def write(self, root: Path, image_id: str, labels: NDArray[np.integer]) -> None:
        """Write the labels (H, W) of a photo atomically."""
        write_pseudo_label(root, image_id, labels)

    def is_complete(self, root: Path, image_id: str) -> bool:
        """Return whether the labels of a photo exist and are undamaged."""
        return is_complete_png(self.path(root, image_id))

    def path(self, root: Path, image_id: str) -> Path:
        """Return the file of a photo's labels."""
        return root / f"{image_id}.png"


@LABEL_WRITERS.register_module()
class ImageLabels(PixelLabels):
    """Labels by image: the foreground gets the category of the image (table 10a, image level).

    With the pipeline of the embeddings, the category is the image's cluster for ``PooledFeatures``,
    and with ``over_foreground`` for ``ForegroundEmbeddings(attention=False)``.

    Args:
        over_foreground: whether features are pooled over the foreground instead of the complete
            image.
    """

    def __init__(self, over_foreground: bool = False) -> None:
        self.over_foreground = over_foreground

    def evidence(
        self, features: Tensor, foreground: Tensor, centroids: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Compute category and foreground as :class:`PixelLabels`, with one id per image."""
        return image_evidence(features, foreground, centroids, size, self.over_foreground)
