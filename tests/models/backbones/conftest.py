"""Backbones are built in luss' scope, on one thread."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from mmengine.registry import DefaultScope

import luss.models  # noqa: F401 - names of other libraries


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope("luss"):
        yield
