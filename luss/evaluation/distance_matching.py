"""Nearest-neighbour votes of distance matching (paper, section 5.1)."""

import torch
from torch import Tensor

from luss.errors import LussError
from luss.structures import at_least_float32

__all__ = ["nearest_neighbour_labels"]


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
