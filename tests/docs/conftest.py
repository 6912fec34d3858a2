"""Lets the tests of the documents import their helper, and the package that makes the pages."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parents[1] / "docs", HERE.parent / "models" / "backbones"):
    sys.path.insert(0, str(folder))
