"""What is drawn in an iteration depends on seed, iteration and rank, and on nothing else."""

from itertools import product
from types import SimpleNamespace

import torch
from mmengine.hooks import Hook
from toy_training import toy_runner

from luss.engine.hooks import StatelessRandomnessHook


class Draw(Hook):
    def __init__(self):
        self.drawn = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.drawn.append(torch.rand(1).item())


def test_every_iteration_draws_anew_and_every_run_alike(tmp_path):
    runs = []
    for name in "ab":
        draw = Draw()
        toy_runner(tmp_path / name, [StatelessRandomnessHook(), draw]).train()
        runs.append(draw.drawn)
        torch.rand(3)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == len(runs[0]) == 6


def test_seeds_iterations_and_ranks_draw_differently():
    drawn = []
    for seed, iteration, rank in product((1, 2), (1, 2, 3), (0, 1)):
        place = SimpleNamespace(seed=seed, iter=iteration, rank=rank)
        StatelessRandomnessHook().before_train_iter(place, batch_idx=0)
        drawn.append(torch.rand(1).item())
    assert len(set(drawn)) == 12
