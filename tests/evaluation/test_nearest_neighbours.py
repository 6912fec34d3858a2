"""k-NN votes: ties, bounds, bad input (the released numbers are in tests/parity)."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from luss.errors import LussError
from luss.evaluation.distance_bank import nearest_neighbour_labels


def test_votes_equal_a_plain_loop():
    generator = torch.Generator().manual_seed(3)
    query = normalize(torch.randn(30, 6, generator=generator))
    bank = normalize(torch.randn(50, 6, generator=generator))
    bank_labels = torch.randint(0, 4, (50,), generator=generator)
    found = nearest_neighbour_labels(
        query, bank, bank_labels, 4, k=7, temperature=0.2, batch_size=9
    )
    for row, label in zip(query.tolist(), found.tolist(), strict=True):
        similar = [sum(a * b for a, b in zip(row, v, strict=True)) for v in bank.tolist()]
        nearest = sorted(range(50), key=lambda i: -similar[i])[:7]
        votes = [0.0] * 4
        for i in nearest:
            votes[bank_labels[i]] += math.exp(similar[i] / 0.2)
        assert label == votes.index(max(votes))


def test_equal_votes_go_to_the_lowest_label():
    bank = torch.eye(3)
    query = normalize(torch.ones(1, 3))
    assert nearest_neighbour_labels(query, bank, torch.tensor([4, 2, 3]), 5, k=3).item() == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_votes_in_float32(dtype):
    """Numbers of half precision are compared and counted as the float32 numbers they are."""
    generator = torch.Generator().manual_seed(5)
    query = normalize(torch.randn(300, 16, generator=generator)).to(dtype)
    bank = normalize(torch.randn(400, 16, generator=generator)).to(dtype)
    labels = torch.randint(0, 9, (400,), generator=generator)
    expected = nearest_neighbour_labels(query.double(), bank.double(), labels, 9)
    assert torch.equal(nearest_neighbour_labels(query, bank, labels, 9), expected)
    # Backbone features of one precision, a bank of the other.
    assert torch.equal(nearest_neighbour_labels(query, bank.float(), labels, 9), expected)


def test_autocast_changes_no_vote():
    generator = torch.Generator().manual_seed(6)
    query = normalize(torch.randn(300, 16, generator=generator))
    bank = normalize(torch.randn(400, 16, generator=generator))
    labels = torch.randint(0, 9, (400,), generator=generator)
    with torch.autocast("cpu", torch.bfloat16):
        found = nearest_neighbour_labels(query, bank, labels, 9)
    assert torch.equal(found, nearest_neighbour_labels(query, bank, labels, 9))


def test_a_small_bank_and_a_low_temperature():
    bank = torch.eye(2)
    labels = nearest_neighbour_labels(bank, bank, torch.tensor([1, 0]), 2, k=10, temperature=1e-3)
    assert labels.tolist() == [1, 0]


def test_bad_input():
    rows, labels = torch.eye(3), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(LussError, match="numbers of features"):
        nearest_neighbour_labels(rows[:, :2], rows, labels, 2)
    with pytest.raises(LussError, match="at least one vector"):
        nearest_neighbour_labels(rows, rows[:0], labels[:0], 2)
    with pytest.raises(LussError, match="temperature is"):
        nearest_neighbour_labels(rows, rows, labels, 2, temperature=0)
