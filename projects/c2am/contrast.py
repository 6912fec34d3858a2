"""Contrastive losses of foreground and background representations, without labels.

After Xie et al., C2AM (CVPR 2022), section 3: the foreground of a photo is dissimilar to every
background and similar to the foregrounds of similar objects; likewise for backgrounds.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from luss.errors import LussError

__all__ = ["negative_pairs_loss", "pair_similarities", "positive_pairs_loss"]

_LEAST = 5e-4
"""Bound of similarities from 0 and 1, where the logarithms diverge; the authors' value."""


def pair_similarities(first: Tensor, second: Tensor) -> Tensor:
    """Compute the cosines of all pairs in single precision.

    Args:
        first: (N, L) floating point.
        second: (M, L) floating point.

    Returns:
        (N, M) float32, clamped to [0.0005, 0.9995].
    """
    with torch.autocast(first.device.type, enabled=False):
        cosines = F.normalize(first.float(), dim=1) @ F.normalize(second.float(), dim=1).T
    return cosines.clamp(_LEAST, 1 - _LEAST)


def positive_pairs_loss(vectors: Tensor, alpha: float = 0.25) -> Tensor:
    """Compute the loss that pulls representations of one kind together, weighted by similarity.

    For each vector the other N - 1 vectors are ranked by similarity, 0 for the most similar. A pair
    has weight exp(-alpha * rank), since two photos may show different categories. The authors' code
    divides by N^2 pairs, this code and the paper by N (N - 1).

    Args:
        vectors: (N, L) floating point, of N photos or views.
        alpha: decay of the weights; 0 for equal weights.

    Returns:
        Scalar float32, the mean of -weight * log(similarity) over the pairs.

    Raises:
        LussError: if there is only one vector.
    """
    count = len(vectors)
    if count < 2:
        raise LussError(
            f"the batch has {count} photo(s), expected two or more for positive pairs; increase "
            "train_dataloader.batch_size, and set drop_last=True"
        )
    # In rows of N + 1 entries, starting after the first, the last column is the diagonal.
    without_first = pair_similarities(vectors, vectors).flatten()[1:]
    others = without_first.view(count - 1, count + 1)[:, :-1].reshape(count, count - 1)
    ranks = others.detach().argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return -(torch.exp(-alpha * ranks) * others.log()).mean()


def negative_pairs_loss(foreground: Tensor, background: Tensor) -> Tensor:
    """Compute the loss that pushes every foreground away from the backgrounds of all photos.

    Args:
        foreground: (N, L) floating point.
        background: (M, L) floating point.

    Returns:
        Scalar float32, the mean of -log(1 - similarity) over all N * M pairs.
    """
    return -torch.log1p(-pair_similarities(foreground, background)).mean()
