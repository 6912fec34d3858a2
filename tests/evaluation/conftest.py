"""Lets the tests of this folder import its strategies and its plain reference."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
