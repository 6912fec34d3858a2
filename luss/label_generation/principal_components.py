"""Principal components of features that are read in parts."""

from collections.abc import Iterable

import torch
from torch import Tensor

from luss.errors import LussError

__all__ = ["principal_components"]


def principal_components(parts: Iterable[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """Compute mean and principal components of rows.

    Args:
        parts: tensors (n, L), floating point; memory holds one of them, and a matrix (L, L).
        count: number of components, up to L.

    Returns:
        Mean (L,) and components (count, L) float64, orthonormal, of descending variance. The
        largest weight of each component is positive.

    Raises:
        LussError: if there are more components than L, or features contain NaN.
    """
    rows, total, products = 0, torch.zeros(()), torch.zeros(())
    for part in parts:
        if part.shape[1] < count:
            raise LussError(
                f"the number of principal components is {count}, but features have "
                f"{part.shape[1]} values; lower it"
            )
        precise = part.double()
        rows += len(precise)
        total = total + precise.sum(dim=0)
        products = products + precise.T @ precise
    if not products.isfinite().all():
        raise LussError(
            "principal components: NaN or infinite values in the features; check the backbone's "
            "checkpoint"
        )
    mean = total / rows
    # In ascending order of the variance.
    vectors = torch.linalg.eigh(products / rows - torch.outer(mean, mean))[1]
    components = vectors.flip(1)[:, :count].T
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    return mean, (components * largest.sign()).contiguous()
