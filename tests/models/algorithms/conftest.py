"""Helpers beside the tests can be imported, by spawned processes as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
