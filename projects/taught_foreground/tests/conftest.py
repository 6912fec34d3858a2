"""A pretrained tiny run."""

import pytest
import torch
from tiny_run import FaultHook, run_tiny

import taught_foreground  # noqa: F401 -- registers the components


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums of several threads depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def fault():
    """Set ``fault.plan`` to a function of the runner that fails when it wants."""
    yield FaultHook
    FaultHook.plan = None


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory):
    """Work dir of a run up to pretraining; do not write to it."""
    return run_tiny(tmp_path_factory.mktemp("pretrained") / "run", "pretrain")
