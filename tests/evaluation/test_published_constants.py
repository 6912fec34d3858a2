"""Numbers of the released evaluation that callers leave to their defaults."""

import pytest
import torch
import torch.nn.functional as F

from luss.evaluation.distance_bank import nearest_class_map, nearest_neighbour_labels
from luss.label_generation.threshold_search import THRESHOLDS


def test_thresholds_go_from_0_to_80_percent_in_steps_of_one():
    assert len(THRESHOLDS) == 81
    assert (THRESHOLDS[0], THRESHOLDS[-1]) == (0.0, 0.8)
    assert pytest.approx([percent / 100 for percent in range(81)]) == THRESHOLDS


def test_ten_neighbours_vote():
    """Of 20 nearly equal ones: 4 of label 1 come first, then 6 of label 2, then 10 of label 1."""
    angles = torch.arange(1, 21) * 1e-2
    bank = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.tensor([1] * 4 + [2] * 6 + [1] * 10)
    query = torch.tensor([[1.0, 0.0]])
    assert nearest_neighbour_labels(query, bank, labels, 3).tolist() == [2]
    features = torch.tensor([3.0, 0.0]).view(1, 2, 1, 1)
    assert (nearest_class_map(features, bank, labels, 3) == 2).all()
    assert (nearest_class_map(features, bank, labels, 3, k=20) == 1).all()


def test_votes_weigh_exp_of_the_cosine_over_7_percent():
    """One vote at cosine 1 against two at cosine c: e^(1/t) = 2 e^(c/t) where 1 - c = t ln 2."""
    labels = torch.tensor([1, 2, 2])
    query = torch.tensor([[1.0, 0.0]])
    for gap, winner in ((0.07 * 0.6931 * 1.02, 1), (0.07 * 0.6931 * 0.98, 2)):
        cosine = 1 - gap
        other = torch.tensor([cosine, (1 - cosine**2) ** 0.5])
        bank = F.normalize(torch.stack([query[0], other, other]), dim=1)
        assert nearest_neighbour_labels(query, bank, labels, 3).tolist() == [winner]
