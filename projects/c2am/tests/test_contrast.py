"""Losses of C2AM: closed forms, a plain loop, and where their gradients lead."""

import math

import pytest
import torch
import torch.nn.functional as F

from c2am.contrast import (
    negative_pairs_loss,
    pair_similarities,
    positive_pairs_loss,
)
from luss.errors import LussError


def draw(count, seed=0, length=6):
    """Vectors that all point about the same way, as features behind a ReLU do."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, length, generator=generator)


def cosine(first, second):
    value = float(first @ second / (first.norm() * second.norm()))
    return min(max(value, 0.0005), 0.9995)


def plain_positive(vectors, alpha):
    """Pair by pair; the rank is the number of more similar vectors."""
    total, count = 0.0, len(vectors)
    for i in range(count):
        others = {j: cosine(vectors[i], vectors[j]) for j in range(count) if j != i}
        for value in others.values():
            rank = sum(other > value for other in others.values())
            total -= math.exp(-alpha * rank) * math.log(value)
    return total / (count * (count - 1))


def plain_negative(foreground, background):
    pairs = [math.log(1 - cosine(f, b)) for f in foreground for b in background]
    return -sum(pairs) / len(pairs)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 2.0])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_losses_are_the_plain_loops(count, alpha):
    vectors, others = draw(count), draw(count + 1, seed=1)
    found = positive_pairs_loss(vectors, alpha)
    assert found.item() == pytest.approx(plain_positive(vectors.double(), alpha), rel=1e-4)
    found = negative_pairs_loss(vectors, others)
    expected = plain_negative(vectors.double(), others.double())
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_closed_forms():
    """Three vectors in a plane, 60 degrees and 30 degrees apart."""
    angles = torch.tensor([0.0, math.pi / 3, math.pi / 2])
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
    half, narrow, none = -math.log(0.5), -math.log(math.sqrt(0.75)), -math.log(0.0005)
    second = math.exp(-0.25)
    rows = half + second * none, narrow + second * half, narrow + second * none
    with torch.autocast("cpu", torch.bfloat16):
        found = positive_pairs_loss(3 * vectors, 0.25)
        apart = negative_pairs_loss(vectors[:1], vectors[1:])
    assert found.item() == pytest.approx(sum(rows) / 6, rel=1e-5)
    expected = (-math.log(0.5) - math.log(1 - 0.0005)) / 2
    assert apart.item() == pytest.approx(expected, rel=1e-5)


def test_similarities_do_not_know_lengths_and_stay_off_the_ends():
    vectors = draw(3)
    found = pair_similarities(5 * vectors, vectors / 7)
    torch.testing.assert_close(found, pair_similarities(vectors, vectors))
    torch.testing.assert_close(found.diagonal(), torch.full((3,), 0.9995))
    torch.testing.assert_close(pair_similarities(vectors, -vectors), torch.full((3, 3), 0.0005))


def mean_cosine(first, second):
    return (F.normalize(first, dim=1) @ F.normalize(second, dim=1).T).mean().item()


def after_a_step(vectors, loss):
    (gradient,) = torch.autograd.grad(loss, vectors)
    return (vectors - 0.3 * gradient).detach()


def test_a_step_against_the_gradients_pulls_and_pushes():
    foreground, background = draw(8).requires_grad_(), draw(8, seed=1).requires_grad_()
    pulled = after_a_step(foreground, positive_pairs_loss(foreground))
    assert mean_cosine(pulled, pulled) > mean_cosine(foreground, foreground) + 1e-3
    pushed = after_a_step(foreground, negative_pairs_loss(foreground, background))
    away = after_a_step(background, negative_pairs_loss(foreground, background))
    apart = [mean_cosine(*pair) for pair in ((pushed, background), (foreground, away))]
    assert max(apart) < mean_cosine(foreground, background) - 0.01


def test_weights_follow_ranks_however_close_the_cosines():
    """All pairs but one are nearly equal; only alpha determines their weights."""
    vectors = torch.eye(4) + 1
    vectors[0, 0] += 1e-3
    each = -math.log(cosine(vectors[2], vectors[3]))
    alpha = 0.7
    expected = each * sum(math.exp(-alpha * rank) for rank in range(3)) / 3
    assert positive_pairs_loss(vectors, alpha).item() == pytest.approx(expected, rel=1e-3)


def test_one_photo_has_no_pair():
    with pytest.raises(LussError, match=r"1 photo.*batch_size"):
        positive_pairs_loss(draw(1))
