"""Fixtures over runs of the tiny config."""

import gc
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
import torch
from tiny_run import FaultHook


@pytest.fixture(autouse=True, scope="session")
def _quick_collections():
    """Every data set collects garbage, which would look through all libraries each time."""
    gc.freeze()
    yield
    gc.unfreeze()


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
def pretrained(finished_run, tmp_path_factory):
    """Work dir of a run up to pretraining; not to be written to."""
    folder = tmp_path_factory.mktemp("pretrained") / "run"
    stages = ("pixel_attention", "label_generation", "finetune", "evaluate")
    shutil.copytree(finished_run, folder, ignore=shutil.ignore_patterns(*stages))
    return folder
