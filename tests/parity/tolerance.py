"""How close is equal: 1e-5 of the largest value of a tensor, as two threads' summation allows."""

import numpy as np
import torch


def assert_close(actual, expected, relative=1e-5, absolute=1e-12):
    if isinstance(actual, torch.Tensor):
        actual = actual.detach().numpy()
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    limit = relative * np.abs(expected).max(initial=0) + absolute
    worst = np.abs(actual - expected).max(initial=0)
    assert worst <= limit, f"differs by {worst:.3g}, allowed is {limit:.3g}"
