"""Configs are built by the helpers of ``tests/configs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "configs"))
