"""Pixel labels from attention and centroids (PASS, section 4.3, eq. 7; step 2.3 and 2.4).

The class of a pixel is the centroid with the largest cosine to its feature, or 'other' (0) if the
mean attention over channels is below the threshold.
"""

import io
import os
from pathlib import Path, PurePosixPath

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from luss.datasets.mask_codec import write_mask
from luss.errors import LussError
from luss.label_generation.feature_maps import fill_empty_maps, pool_over
from luss.models.heads.pixel_attention import SCALE
from luss.models.segmentors.upsampled_argmax import nearest_resize_ids, upsampled_argmax

__all__ = [
    "apply_threshold",
    "category_of_image",
    "cluster_of_pixels",
    "image_evidence",
    "is_complete_png",
    "nearest_category",
    "pixel_evidence",
    "write_pseudo_label",
]


_END_OF_PNG = b"\0\0\0\0IEND\xae\x42\x60\x82"


def nearest_category(features: Tensor, centroids: Tensor) -> Tensor:
    """Return the category of the largest cosine at each pixel of the up-sampled feature map.

    The length of a feature does not change which cosine is largest, and the product with the
    centroids commutes with up-sampling: it is computed on the small map, a sixteenth of the pixels.

    Args:
        features: the backbone's last feature map (N, L, h, w), without attention.
        centroids: (C, L), of any length.

    Returns:
        (N, 4h, 4w) int64 in 1..C, the lowest on a tie.

    Raises:
        LussError: if the channels differ.
    """
    if features.shape[1] != centroids.shape[1]:
        raise LussError(
            f"the feature map has {features.shape[1]} channels, the centroids have "
            f"{centroids.shape[1]}; both must come from the same backbone"
        )
    directions = F.normalize(centroids.to(features.device).float(), dim=1)
    with torch.autocast(features.device.type, enabled=False):
        scores = F.conv2d(features.float(), directions[:, :, None, None])
    height, width = features.shape[2:]
    return upsampled_argmax(scores, (SCALE * height, SCALE * width)) + 1


def cluster_of_pixels(features: Tensor, centroids: Tensor) -> Tensor:
    """Return the k-means cluster of each pixel of the up-sampled feature map.

    Centroids differ in length, so the nearest centroid need not have the largest cosine
    (:func:`nearest_category`).

    Args:
        features: the backbone's last feature map (N, L, h, w), without attention.
        centroids: (C, L), of k-means, not normalised.

    Returns:
        (N, 4h, 4w) int64 in 1..C, the lowest on a tie.
    """
    upsampled = F.interpolate(
        features.float(), scale_factor=SCALE, mode="bilinear", align_corners=False
    )
    vectors = upsampled.movedim(1, -1)
    return _cluster_of(vectors.flatten(0, 2), centroids).view(vectors.shape[:3])


def pixel_evidence(
    features: Tensor,
    mean_attention: Tensor,
    centroids: Tensor,
    size: tuple[int, int],
    by_cluster: bool = False,
) -> tuple[Tensor, Tensor]:
    """Compute category and attention of each pixel, independent of the threshold.

    Args:
        features: the backbone's last feature map (N, L, h, w).
        mean_attention: (N, 1, 4h, 4w) from ``PixelAttention.mean_attention``, or another
            foreground map in [0, 1].
        centroids: (C, L).
        size: (H, W) of the images.
        by_cluster: use :func:`cluster_of_pixels`, for centroids of pixels' features, instead of
            :func:`nearest_category`.

    Returns:
        Category ids (N, H, W) int64 in 1..C (nearest), and attention (N, H, W) float32 (bilinear).
    """
    find = cluster_of_pixels if by_cluster else nearest_category
    ids = nearest_resize_ids(find(features, centroids), size)
    return ids, _at_full_size(mean_attention, size)


def category_of_image(
    features: Tensor, centroids: Tensor, foreground: Tensor | None = None
) -> Tensor:
    """Return the k-means cluster of each image's pooled features.

    Args:
        features: the backbone's last feature map (N, L, h, w).
        centroids: (C, L), of k-means, not normalised.
        foreground: maps (N, 1, h', w') in [0, 1] to pool over; None, or an empty map, pools over
            the complete image.

    Returns:
        (N,) int64 in 1..C, the lowest on a tie.
    """
    features = features.float()
    if foreground is None:
        pooled = features.mean(dim=(2, 3))
    else:
        pooled = pool_over(features, fill_empty_maps(foreground))
    return _cluster_of(pooled, centroids)


def _cluster_of(vectors: Tensor, centroids: Tensor) -> Tensor:
    """Return the nearest of centroids (C, L) to normalised vectors (N, L), (N,) int64 in 1..C."""
    vectors = F.normalize(vectors, dim=1)
    centroids = centroids.to(vectors)
    half_squares = centroids.square().sum(dim=1) / 2
    with torch.autocast(vectors.device.type, enabled=False):
        return torch.addmm(half_squares, vectors, centroids.T, alpha=-1).argmin(dim=1) + 1


def image_evidence(
    features: Tensor,
    foreground: Tensor,
    centroids: Tensor,
    size: tuple[int, int],
    over_foreground: bool = False,
) -> tuple[Tensor, Tensor]:
    """Compute :func:`pixel_evidence` with one category per image, see :func:`category_of_image`."""
    ids = category_of_image(features, centroids, foreground if over_foreground else None)
    return ids[:, None, None].expand(-1, *size), _at_full_size(foreground, size)


def _at_full_size(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Up-sample maps (N, 1, h, w) bilinearly to (N, H, W) float32."""
    return F.interpolate(maps.float(), size=size, mode="bilinear", align_corners=False)[:, 0]


def apply_threshold(ids: Tensor, attention: Tensor, threshold: float) -> Tensor:
    """Set pixels of low attention to 'other' (eq. 7).

    Args:
        ids: (N, H, W) categories.
        attention: (N, H, W).
        threshold: tau; attention equal to it is foreground.

    Returns:
        (N, H, W), 0 where the attention is strictly below the threshold.
    """
    return ids.masked_fill(attention < threshold, 0)


def write_pseudo_label(
    root: str | os.PathLike, image_id: str, ids: NDArray[np.integer] | Tensor
) -> Path:
    """Write one image's labels in the mask encoding, atomically.

    Args:
        root: the folder of pseudo labels.
        image_id: ``<wnid>/<image>`` without extension, with forward slashes.
        ids: (H, W) integers.

    Returns:
        The path, ``root/<wnid>/<image>.png``.

    Raises:
        LussError: if ``image_id`` would leave ``root``, or the ids cannot be encoded.
    """
    relative = PurePosixPath(image_id)
    if relative.is_absolute() or ".." in relative.parts or not relative.name:
        raise LussError(
            f"the image id {image_id!r} is not a path inside {root}; expected "
            "'<class folder>/<image>'"
        )
    path = Path(root) / relative.parent / f"{relative.name}.png"
    write_mask(path, ids.cpu().numpy() if isinstance(ids, Tensor) else ids)
    return path


def is_complete_png(path: str | os.PathLike) -> bool:
    """Return whether a file is a complete PNG with correct check sums.

    It is not decoded, which would take fifty times as long.
    """
    try:
        content = Path(path).read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()
    # Damaged files raise OSError, SyntaxError, ValueError, struct.error ...
    except Exception:
        return False
    return content.endswith(_END_OF_PNG)
