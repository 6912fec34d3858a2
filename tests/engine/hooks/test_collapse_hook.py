"""Signs of a collapse, and none where there is none."""

import pytest
import torch

from luss.engine.hooks.collapse_hook import relative_variance


def test_equal_outputs_have_no_spread():
    outputs = torch.randn(1, 8).expand(16, 8)
    assert relative_variance(outputs).item() == pytest.approx(0, abs=1e-6)


def test_opposite_outputs_have_all_spread():
    outputs = torch.randn(8, 5)
    assert relative_variance(torch.cat([outputs, -outputs])).item() == pytest.approx(1)


def test_spread_is_the_share_of_the_variance():
    # Of N(mean, 1) in D dimensions: D of the energy D + |mean|^2.
    torch.manual_seed(0)
    mean = torch.full((64,), 0.5)
    outputs = torch.randn(20_000, 64) + mean
    assert relative_variance(outputs).item() == pytest.approx(64 / (64 + 64 * 0.25), abs=0.01)
    assert relative_variance(3 * outputs).item() == pytest.approx(relative_variance(outputs).item())


def test_zero_outputs_have_no_spread():
    assert relative_variance(torch.zeros(4, 3)).item() == 0
