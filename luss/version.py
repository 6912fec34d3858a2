"""Version of the package, read by ``setup.py`` without importing ``luss``."""

__version__ = "0.1.0"
