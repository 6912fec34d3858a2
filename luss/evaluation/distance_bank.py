"""The bank of distance matching, and its votes on feature maps (paper, sections 3.2.1 and 5.1).

The bank contains one vector for each class in each labelled training image, 'other' included. Each
pixel of a test image gets the class of its nearest vectors.
"""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.files import atomic_write
from luss.models.heads.pixel_attention import upsample
from luss.models.segmentors.upsampled_argmax import nearest_resize_ids
from luss.structures import at_least_float32

__all__ = ["DistanceBank", "class_vectors", "nearest_class_map", "nearest_neighbour_labels"]

_SIMILARITIES_AT_A_TIME = 1 << 25
_SMALLEST_NORM = 1e-12


def class_vectors(features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return one vector for each class of a labelled image.

    The feature map is upsampled four times, and the mask is resized to it (nearest, source =
    floor(dst * in / out)). A class's vector is the mean over *all* pixels of feature times
    membership. Classes lost in the resized mask, and ignored pixels, have no vector.

    Args:
        features: the backbone's last feature map (L, h, w).
        mask: (H, W) integer ids 0..C or ``IGNORE_ID``; fastest on the CPU.

    Returns:
        (K, L) float32 vectors on the features' device, not normalised, and their (K,) int64
        classes in ascending order, on the mask's device.
    """
    upsampled = upsample(features[None])[0]
    _, height, width = upsampled.shape
    ids = nearest_resize_ids(mask[None], (height, width))[0]
    labels, place = ids.flatten().unique(return_inverse=True)
    kept = labels != IGNORE_ID
    member = F.one_hot(place, len(labels)).T[kept].to(upsampled)
    with torch.autocast(upsampled.device.type, enabled=False):
        return member @ upsampled.flatten(1).T / ids.numel(), labels[kept]


def nearest_class_map(
    features: Tensor,
    bank: Tensor,
    bank_labels: Tensor,
    num_labels: int,
    k: int = 10,
    temperature: float = 0.07,
) -> Tensor:
    """Return the class of each pixel of upsampled feature maps; see ``nearest_neighbour_labels``.

    Upsampling is linear, and so are products with vectors. With fewer small pixels than features,
    products are computed on the small map and then interpolated.

    Args:
        features: the backbone's last feature maps (N, L, h, w).
        bank: (M, L), rows of unit length, on the features' device.
        bank_labels: (M,) int64 in 0..num_labels-1.
        num_labels: C + 1.
        k: number of neighbours that vote.
        temperature: of the votes.

    Returns:
        (N, 4h, 4w) int64.
    """
    count, channels, height, width = features.shape
    features, bank = at_least_float32(features), at_least_float32(bank)
    upsampled = upsample(features)
    lengths = upsampled.norm(dim=1).clamp_min(_SMALLEST_NORM)
    mixing = None
    if height * width < channels:
        corners = torch.eye(height * width, device=features.device).unflatten(1, (height, width))
        mixing = upsample(corners[None])[0].flatten(1).T
    maps = []
    for image in range(count):
        if mixing is None:
            query, keys = upsampled[image].flatten(1).T, bank
        else:
            # Autocast would compute these products in half precision.
            with torch.autocast(bank.device.type, enabled=False):
                query, keys = mixing, bank @ features[image].to(bank.dtype).flatten(1)
        labels = nearest_neighbour_labels(
            query / lengths[image].view(-1, 1),
            keys,
            bank_labels,
            num_labels,
            k=k,
            temperature=temperature,
            batch_size=max(1, _SIMILARITIES_AT_A_TIME // max(1, len(bank))),
        )
        maps.append(labels.view(upsampled.shape[2:]))
    return torch.stack(maps)


@torch.no_grad()
def nearest_neighbour_labels(
    query: Tensor,
    bank: Tensor,
    bank_labels: Tensor,
    num_labels: int,
    k: int = 10,
    temperature: float = 0.07,
    batch_size: int = 4096,
) -> Tensor:
    """Return each query's label by a vote of the k most similar vectors of the bank.

    A vote has the weight exp(similarity / temperature). The lowest label wins a tie. Computed in
    float32 even under autocast, since bfloat16 votes are wrong by up to 6 %.

    Args:
        query: (Q, L) float, rows of unit length.
        bank: (M, L) float, rows of unit length.
        bank_labels: (M,) int64 labels in 0..num_labels-1 (0 is 'other').
        num_labels: C + 1.
        k: number of neighbours that vote, at most all of the bank.
        temperature: above 0.
        batch_size: queries at a time, which limits memory to batch_size x M similarities.

    Returns:
        (Q,) int64 labels, on the query's device.

    Raises:
        LussError: if shapes do not fit, or the bank is empty.
    """
    if query.ndim != 2 or bank.ndim != 2 or query.shape[1] != bank.shape[1]:
        raise LussError(
            f"queries have the shape {tuple(query.shape)}, the bank has {tuple(bank.shape)}. "
            "Expected (rows, features) with equal numbers of features"
        )
    if not len(bank) or bank_labels.shape != (len(bank),):
        raise LussError(
            f"the bank has {len(bank)} vectors and labels of shape {tuple(bank_labels.shape)}. "
            "Expected at least one vector and a label for each"
        )
    if k < 1 or temperature <= 0:
        raise LussError(f"k is {k} and temperature is {temperature}. Expected k >= 1 and > 0")
    k = min(k, len(bank))
    labels = torch.empty(len(query), dtype=torch.int64, device=query.device)
    bank = at_least_float32(bank)
    with torch.autocast(query.device.type, enabled=False):
        for start in range(0, len(query), batch_size):
            part = at_least_float32(query[start : start + batch_size])
            similarity, neighbour = (part @ bank.T).topk(k, dim=1, sorted=False)
            votes = similarity.new_zeros(len(part), num_labels)
            # Subtracting the maximum prevents overflow at low temperatures.
            weight = ((similarity - similarity.amax(dim=1, keepdim=True)) / temperature).exp()
            votes.scatter_add_(1, bank_labels[neighbour], weight)
            highest = votes == votes.amax(dim=1, keepdim=True)
            labels[start : start + batch_size] = highest.to(torch.uint8).argmax(dim=1)
    return labels


@dataclass(frozen=True)
class DistanceBank:
    """Vectors of labelled images.

    Attributes:
        vectors: (M, L) float32, not normalised.
        labels: (M,) int64 classes, 0 is 'other'.
        images: (M,) int64 index of the image of each vector, in the order of the data set.
        source: identifies the inputs; a bank of another source is stale.
    """

    vectors: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    source: str

    def __post_init__(self) -> None:
        rows = len(self.labels)
        if self.vectors.ndim != 2 or len(self.vectors) != rows or len(self.images) != rows:
            raise LussError(
                f"the bank has {self.vectors.shape} vectors, {self.labels.shape} classes and "
                f"{self.images.shape} images. Expected a class and an image for each vector"
            )

    def write(self, path: str | os.PathLike) -> None:
        """Write a ``.npz`` with these attributes atomically."""
        with atomic_write(path) as file:
            np.savez(
                file,
                vectors=self.vectors,
                labels=self.labels,
                images=self.images,
                source=np.array(self.source),
            )

    @classmethod
    def read(cls, path: str | os.PathLike) -> "DistanceBank":
        """Read a bank written by :meth:`write`.

        Raises:
            LussError: if the file is missing, damaged, or not a bank.
        """
        try:
            with np.load(Path(path), allow_pickle=False) as arrays:
                vectors, labels, images, source = (
                    arrays[name] for name in ("vectors", "labels", "images", "source")
                )
                return cls(vectors, labels, images, str(source))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise LussError(
                f"cannot read the bank of distance matching {path}: {error}. Delete it to rebuild"
            ) from error

    def on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the vectors at unit length (M, L) and their classes (M,), on a device."""
        vectors = F.normalize(torch.from_numpy(self.vectors).to(device), dim=1)
        return vectors, torch.from_numpy(self.labels).to(device)
