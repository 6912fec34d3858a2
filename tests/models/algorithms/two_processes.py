"""What each of two processes does in the tests of training."""

import os
from pathlib import Path

from small_training import ITERATIONS, train


def train_swav(rank, folder):
    """Train SwAV undisturbed, and once more with a kill."""
    os.environ["LOCAL_RANK"] = str(rank)  # as torchrun does
    # Frozen prototypes get no gradient.
    settings = {"processes": 2, "find_unused_parameters": True}
    train(Path(folder, "whole"), "SwAV", ("p2p",), **settings)
    train(Path(folder, "killed"), "SwAV", ("p2p",), stop=ITERATIONS + 1, **settings)
    train(Path(folder, "killed"), "SwAV", ("p2p",), **settings)
