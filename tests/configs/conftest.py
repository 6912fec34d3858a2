"""Helpers beside the tests can be imported; many data sets are built fast."""

import gc
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="session")
def _quick_collections():
    """Every data set collects garbage, which would look through all libraries each time."""
    gc.freeze()
    yield
    gc.unfreeze()
