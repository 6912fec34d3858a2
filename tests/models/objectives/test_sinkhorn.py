import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from luss.models.objectives.sinkhorn import sinkhorn


def cosines(rows, columns, seed=0):
    generator = np.random.default_rng(seed)
    left, right = generator.normal(size=(rows, 8)), generator.normal(size=(columns, 8))
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return left @ right.T


def slow_sinkhorn(scores, epsilon, iterations):
    """Alternating scaling from its definition, in float64; prototypes first, samples last."""
    scores = np.asarray(scores, np.float64)
    count, prototypes = scores.shape
    plan = np.exp(scores / epsilon)
    plan /= plan.sum()
    for _ in range(iterations):
        for k in range(prototypes):
            plan[:, k] /= plan[:, k].sum() * prototypes
        for b in range(count):
            plan[b] /= plan[b].sum() * count
    return plan * count


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 20),
    st.integers(1, 12),
    st.sampled_from([0.03, 0.05, 0.5]),
    st.integers(0, 5),
    st.integers(0, 99),
)
def test_it_equals_the_definition(rows, columns, epsilon, iterations, seed):
    scores = cosines(rows, columns, seed)
    codes = sinkhorn(torch.from_numpy(scores), epsilon, iterations)
    assert codes.dtype == torch.float32
    np.testing.assert_allclose(codes, slow_sinkhorn(scores, epsilon, iterations), atol=2e-5)


@pytest.mark.parametrize("epsilon", [0.01, 0.001, 1e-5])
def test_hard_codes_equal_the_definition(epsilon):
    """Neither large exponents nor samples far below the largest score spoil a code."""
    scores = np.round(cosines(40, 7) * 64) / 64  # exact in float32, whatever epsilon
    scores[3] -= 1
    logs = scores / np.float32(epsilon).astype(np.float64)
    for _ in range(3):
        logs = logs - logsumexp(logs, axis=0, keepdims=True) - np.log(7)
        logs = logs - logsumexp(logs, axis=1, keepdims=True) - np.log(40)
    codes = sinkhorn(torch.from_numpy(scores), epsilon)
    np.testing.assert_allclose(codes, np.exp(logs) * 40, atol=2e-3)
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(40), rtol=0, atol=1e-4)


@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_rows_sum_to_one(iterations):
    codes = sinkhorn(torch.from_numpy(cosines(64, 20)), 0.05, iterations)
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(64))


def test_prototypes_are_used_equally():
    scores = torch.from_numpy(cosines(64, 20)).float()
    # One prototype is everyone's favourite.
    scores[:, 0] += 0.5
    usage = {n: sinkhorn(scores, 0.05, n).sum(dim=0) for n in (1, 3, 10, 300)}
    torch.testing.assert_close(usage[300], torch.full((20,), 64 / 20), rtol=1e-3, atol=0)
    spread = [usage[n].std() for n in (1, 3, 10, 300)]
    assert spread == sorted(spread, reverse=True)
    softmax = torch.softmax(scores / 0.05, dim=1).sum(dim=0)
    assert usage[3].max() < softmax.max() / 4


def test_half_precision_does_not_overflow():
    scores = torch.tensor([[1.0, -1.0], [0.9, 0.2]])
    for dtype in (torch.float16, torch.bfloat16):
        codes = sinkhorn(scores.to(dtype), 0.05)
        assert codes.dtype == torch.float32
        torch.testing.assert_close(codes, sinkhorn(scores.to(dtype).float(), 0.05))


def test_scores_are_left_as_they_were_and_get_no_gradient():
    scores = torch.from_numpy(cosines(4, 3)).float().requires_grad_()
    before = scores.detach().clone()
    assert not sinkhorn(scores).requires_grad
    torch.testing.assert_close(scores.detach(), before, rtol=0, atol=0)


def test_it_never_waits_for_the_device():
    # A tensor without data raises when a value is read.
    assert sinkhorn(torch.empty(8, 5, device="meta")).shape == (8, 5)
