import math

import pytest
import torch
from nearest_neighbours import leave_one_out_knn


def slow_reference(features, labels, k, temperature):
    right = 0
    for i, query in enumerate(features):
        others = [j for j in range(len(features)) if j != i]
        cosine = {
            j: float(query @ features[j] / (query.norm() * features[j].norm())) for j in others
        }
        votes = {}
        for j in sorted(others, key=cosine.get, reverse=True)[:k]:
            label = int(labels[j])
            votes[label] = votes.get(label, 0) + math.exp(cosine[j] / temperature)
        right += max(votes, key=votes.get) == int(labels[i])
    return right / len(features)


@pytest.mark.parametrize("block", [7, 4096])
def test_equals_a_slow_reference(block):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (50,), generator=generator)
    centers = torch.randn(4, 6, generator=generator)
    features = centers[labels] + 1.5 * torch.randn(50, 6, generator=generator)
    expected = slow_reference(features.double(), labels, 10, 0.07)
    assert 0.3 < expected < 1
    assert leave_one_out_knn(features, labels, block=block) == pytest.approx(expected)


def test_an_image_does_not_vote_for_itself():
    # Two pairs of neighbours whose labels are crossed: right only if one looked at oneself.
    features = torch.tensor([[1.0, 0.0], [0.99, 0.1], [0.0, 1.0], [0.1, 0.99]])
    assert leave_one_out_knn(features, torch.tensor([0, 1, 1, 0]), k=1) == 0
