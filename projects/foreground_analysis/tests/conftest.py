"""A finished run of the tiny config."""

import pytest
import torch
from tiny_run import run_tiny


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Sums of several threads depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """Work dir of a complete run; do not write to it."""
    return run_tiny(tmp_path_factory.mktemp("tiny") / "run")
