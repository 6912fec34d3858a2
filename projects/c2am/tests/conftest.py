"""Registers the components; spawned processes import the helpers beside the tests."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

import c2am  # noqa: F401 -- registers the components
