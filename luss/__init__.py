"""luss: Large-scale Unsupervised Semantic Segmentation on MMEngine."""

from luss.version import __version__

__all__ = ["__version__"]
