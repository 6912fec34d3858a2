"""LARS as its configs leave it: trust 0.001 and eps 1e-8, as apex has them."""

import pytest
import torch

from luss.engine.optimizers import LARS


@pytest.mark.parametrize("length", [1e-3, 1e-7])
def test_a_step_of_short_gradients(length):
    """|p| = 2 and a gradient of the given length: p moves by 0.001 * 2 / (|g| + 1e-8) * |g|."""
    param = torch.nn.Parameter(torch.tensor([2.0, 0.0], dtype=torch.float64))
    param.grad = torch.tensor([0.0, length], dtype=torch.float64)
    LARS([param], lr=1.0).step()
    moved = 0.001 * 2 / (length + 1e-8) * length
    assert param.tolist() == pytest.approx([2.0, -moved], rel=1e-9)
