"""Versions and devices of a run."""

import platform

import cv2
import faiss
import mmcv
import mmengine
import numpy as np
import torch

from luss.version import __version__

__all__ = ["describe_machine", "versions"]


def versions() -> dict[str, str]:
    """Return the versions of packages that affect results."""
    return {
        "luss": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "mmengine": mmengine.__version__,
        "mmcv": mmcv.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "faiss": faiss.__version__,
    }


def describe_machine() -> str:
    """Return one line with versions and devices for the log."""
    if torch.cuda.is_available():
        device = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    else:
        device = f"CPU, {torch.get_num_threads()} thread(s)"
    return ", ".join(f"{name} {version}" for name, version in versions().items()) + f"; {device}"
