"""Codes by optimal transport: Sinkhorn-Knopp as SwAV has it (Caron et al., 2020, section 3.1)."""

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor

__all__ = ["sinkhorn"]


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Soft assignments that use all prototypes equally.

    ``exp(scores / epsilon)`` is divided by its sum; each iteration scales every prototype to a
    total of 1 / K and then every sample to 1 / B. Sums run over the rows of all ranks, B counts
    them; every rank has as many. Computed in float32 whatever the input, since the exponential
    overflows in half precision.

    Args:
        scores: (B, K) float, products of unit vectors, so in [-1, 1].
        epsilon: smoothness of the assignment; smaller is harder.
        iterations: number of alternations.

    Returns:
        (B, K) float32; with at least one iteration the rows sum to one.
    """
    rows, num_prototypes = scores.shape
    total_rows = rows * get_world_size()
    codes = torch.exp(scores.float() / epsilon)
    codes /= _over_ranks(codes.sum())
    for _ in range(iterations):
        codes /= _over_ranks(codes.sum(dim=0, keepdim=True)) * num_prototypes
        codes /= codes.sum(dim=1, keepdim=True) * total_rows
    return codes * total_rows


def _over_ranks(partial_sum: Tensor) -> Tensor:
    all_reduce(partial_sum)
    return partial_sum
