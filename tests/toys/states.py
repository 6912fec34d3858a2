"""Nested states, such as those of checkpoints: flattened, and compared bit for bit."""

import numpy as np
import torch


class Killed(BaseException):
    """A SIGKILL within a process: nothing catches it."""


def flatten(value, name=""):
    """Return the leaves of nested dicts and lists by their dotted names."""
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        parts = (flatten(entry, f"{name}.{key}") for key, entry in value.items())
        return {key: entry for part in parts for key, entry in part.items()}
    return {name: value}


def assert_same(first, second):
    """Check that two flat states are equal bit for bit."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        other = second[name]
        if isinstance(value, torch.Tensor):
            same = value.dtype == other.dtype and torch.equal(value, other)
        elif isinstance(value, np.ndarray):
            same = value.dtype == other.dtype and np.array_equal(value, other)
        else:
            same = value == other
        assert same, name
