"""Weighted nearest-neighbour accuracy of image features (Wu et al., 2018)."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["leave_one_out_knn"]


def leave_one_out_knn(
    features: Tensor, labels: Tensor, k: int = 10, temperature: float = 0.07, block: int = 4096
) -> float:
    """Return the top-1 accuracy of classifying each image by its nearest other images.

    A neighbour of cosine similarity s votes for its label with weight exp(s / temperature); the
    lowest label wins a tie.

    Args:
        features: (N, D) float, not normalised.
        labels: (N,) int64, from 0.
        k: number of neighbours, at most N - 1.
        temperature: of the votes.
        block: number of images compared at once.

    Returns:
        Fraction of correct images, in [0, 1].
    """
    features = F.normalize(features.float(), dim=1)
    num_labels = int(labels.max()) + 1
    right = 0
    for start in range(0, len(features), block):
        similarity = features[start : start + block] @ features.T
        rows = torch.arange(len(similarity), device=features.device)
        similarity[rows, rows + start] = -torch.inf
        top, neighbours = similarity.topk(k, dim=1)
        votes = torch.zeros(len(similarity), num_labels, device=features.device)
        votes.scatter_add_(1, labels[neighbours], torch.exp(top / temperature))
        right += int((votes.argmax(dim=1) == labels[start : start + block]).sum())
    return right / len(features)
