"""A model with parameters that no loss reaches, tried by one of two processes."""

import json
from pathlib import Path

import torch
from torch import nn
from toy_training import Line, toy_runner

from luss.engine.first_batch import try_first_batch
from luss.errors import LussError


class Beside(Line):
    """Has two parameters that no loss depends on, and two that are frozen."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(1, 1)
        self.frozen = nn.Linear(1, 1).requires_grad_(False)


def tried(folder, model, hooks=(), pending=(), runner=()):
    """A runner of its own folder, after a batch was tried."""
    folder = folder / str(len(list(folder.iterdir())))
    folder.mkdir()
    built = toy_runner(folder, hooks, runner={"model": model, **dict(runner)})
    built.optim_wrapper = built.build_optim_wrapper(built.optim_wrapper)
    try_first_batch(built, "stages.mine", pending)
    return built


def try_with_and_without(rank, folder):
    """One of two processes; writes what it found."""
    folder = Path(folder)
    own = folder / f"rank_{rank}"
    own.mkdir()
    said = []
    for settings in ({}, {"find_unused_parameters": True}):
        try:
            tried(own, Beside(), runner={"cfg": settings})
            said.append("trained")
        except LussError as error:
            said.append(str(error))
    (folder / f"rank_{rank}.json").write_text(json.dumps(said))
    torch.distributed.barrier()
