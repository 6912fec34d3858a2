"""Codes by optimal transport: Sinkhorn-Knopp as in SwAV (Caron et al., 2020, section 3.1)."""

import math

import torch
from mmengine.dist import all_gather, get_world_size
from torch import Tensor

__all__ = ["sinkhorn"]


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Compute soft assignments that use all prototypes equally.

    ``exp(scores / epsilon)`` is divided by its sum; each iteration scales every prototype to a
    total of 1 / K and then every sample to 1 / B. Sums run over the B rows of all ranks, which have
    equally many. The computation uses logarithms in float32: the exponential overflows for an
    epsilon below 0.011, and a sample far below the maximum underflows to zero, which cannot be
    scaled.

    Args:
        scores: (B, K) float, products of unit vectors, so in [-1, 1].
        epsilon: smoothness of the assignment, above 0; smaller is harder.
        iterations: number of alternations.

    Returns:
        (B, K) float32; with at least one iteration the rows sum to one.
    """
    rows, num_prototypes = scores.shape
    total_rows = rows * get_world_size()
    logs = scores.float() / epsilon
    logs -= _over_ranks(logs.logsumexp(dim=(0, 1)))
    for _ in range(iterations):
        logs -= _over_ranks(logs.logsumexp(dim=0, keepdim=True)) + math.log(num_prototypes)
        logs -= logs.logsumexp(dim=1, keepdim=True) + math.log(total_rows)
    return torch.exp(logs + math.log(total_rows))


def _over_ranks(log_sum: Tensor) -> Tensor:
    """Compute the logarithm of the sum over all ranks of exp(log_sum)."""
    return torch.stack(all_gather(log_sum)).logsumexp(dim=0)
