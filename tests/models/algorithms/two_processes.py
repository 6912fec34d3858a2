"""What each of two processes does in the tests of training."""

import os
from pathlib import Path

import torch
import torch.distributed as dist
from small_training import ITERATIONS, train


def train_swav(rank, folder):
    """Train SwAV undisturbed, and once more with a kill."""
    torch.set_num_threads(1)
    os.environ["LOCAL_RANK"] = str(rank)  # as torchrun does
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    # Frozen prototypes get no gradient.
    settings = {"processes": 2, "find_unused_parameters": True}
    train(Path(folder, "whole"), "SwAV", ("p2p",), **settings)
    train(Path(folder, "killed"), "SwAV", ("p2p",), stop=ITERATIONS + 1, **settings)
    train(Path(folder, "killed"), "SwAV", ("p2p",), **settings)
    dist.destroy_process_group()
