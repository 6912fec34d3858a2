"""Contrast of foreground and background representations of many photos, without labels.

After Xie et al., C2AM (CVPR 2022), section 3: the foreground of a photo is unlike every background,
and like some foregrounds, those of similar objects; of backgrounds the same holds.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from luss.errors import LussError

__all__ = ["negative_pairs_loss", "pair_similarities", "positive_pairs_loss"]

_LEAST = 5e-4
"""Similarities keep this distance from 0 and 1, where logarithms end; that of the authors' code."""


def pair_similarities(first: Tensor, second: Tensor) -> Tensor:
    """Cosines of all pairs, in single precision.

    Args:
        first: (N, L) floating point.
        second: (M, L) floating point.

    Returns:
        (N, M) float32 in [0.0005, 0.9995]; beyond, there is no gradient.
    """
    with torch.autocast(first.device.type, enabled=False):
        cosines = F.normalize(first.float(), dim=1) @ F.normalize(second.float(), dim=1).T
    return cosines.clamp(_LEAST, 1 - _LEAST)


def positive_pairs_loss(vectors: Tensor, alpha: float = 0.25) -> Tensor:
    """Pull representations of one kind together, those most that are most alike already.

    The other N - 1 vectors are ranked by their likeness to each vector, from 0 for the most alike;
    a pair weighs exp(-alpha * rank), since objects of two photos need not be of one category. The
    authors' code divides by N^2 pairs, this and the paper by N (N - 1).

    Args:
        vectors: (N, L) floating point, of N photos or views.
        alpha: how fast weights fall; 0 weighs all pairs alike.

    Returns:
        Scalar float32, the mean of -weight * log(similarity) over the pairs.

    Raises:
        LussError: if there is only one vector, which has no pair.
    """
    count = len(vectors)
    if count < 2:
        raise LussError(
            f"positive pairs need two or more photos at a time, found {count}; raise "
            "train_dataloader.batch_size, and set drop_last=True"
        )
    # Rows of one more entry than there are vectors begin on the diagonal, or end before it.
    without_first = pair_similarities(vectors, vectors).flatten()[1:]
    others = without_first.view(count - 1, count + 1)[:, :-1].reshape(count, count - 1)
    ranks = others.detach().argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return -(torch.exp(-alpha * ranks) * others.log()).mean()


def negative_pairs_loss(foreground: Tensor, background: Tensor) -> Tensor:
    """Push every foreground away from every background, those of other photos as well.

    Args:
        foreground: (N, L) floating point.
        background: (M, L) floating point.

    Returns:
        Scalar float32, the mean of -log(1 - similarity) over all N * M pairs.
    """
    return -torch.log1p(-pair_similarities(foreground, background)).mean()
