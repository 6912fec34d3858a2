"""The smallest training there is: one linear layer on numbers."""

import itertools

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from states import Killed, flatten
from torch import nn
from torch.utils.data import Dataset

from luss.datasets.samplers import EpochSampler
from luss.engine.checkpoint import latest_checkpoint, load
from luss.engine.hooks import CheckpointHook, GracefulStopHook, LossGuardHook
from luss.engine.loops import EpochTrainLoop
from luss.engine.runner import Runner
from luss.engine.workers import start_worker

SGD = {"type": "SGD", "lr": 0.1, "momentum": 0.9}
RUNS = itertools.count()
"""Tell runners of one folder apart: MMEngine keeps what it logs by the name of the runner."""


class Numbers(Dataset):
    """Item d is the number d; draws beyond the end belong to later epochs."""

    metainfo = {}

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, draw):
        return {"inputs": torch.tensor([float(draw)])}


class Line(BaseModel):
    """Sees numbers, and keeps which; ``factor`` of the loss may be set from outside."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen = []
        self.factor = 1.0

    def forward(self, inputs, mode="loss"):
        if mode == "predict":
            return [{"value": value} for value in self.layer(inputs / 100)]
        self.seen.append(inputs.flatten().int().tolist())
        scaled = inputs / 100
        return {"loss_line": self.factor * (self.layer(scaled) - scaled).square().mean()}


class Score(BaseMetric):
    """A metric by the number of iterations; where that has none, the process is killed."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores
        self.runner = None
        self.asked = []

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        self.asked.append(self.runner.iter)
        if self.runner.iter not in self.scores:
            raise Killed
        weights = self.runner.model.layer.weight
        assert results[0]["value"] == weights.item() * 0 + self.runner.model.layer.bias.item()
        return {"size": len(results), "mIoU": self.scores[self.runner.iter]}


def validated(score):
    """Settings of a runner that validates on four numbers."""
    return {
        "val_dataloader": {
            "dataset": Numbers(4),
            "batch_size": 2,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "collate_fn": {"type": "default_collate"},
        },
        "val_cfg": {},
        "val_evaluator": [score],
    }


def toy_runner(
    work_dir, hooks=(), data=10, batch_size=3, epochs=2, workers=0, runner=(), **checkpoint
):
    """A runner of ``len(data) // batch_size`` iterations an epoch.

    ``data`` is a data set, or how many numbers there are. ``runner`` holds settings of the runner
    that replace others; what is left over goes to ``CheckpointHook``.
    """
    torch.manual_seed(0)
    newest = checkpoint.pop("load_from", None)
    settings = {
        "model": Line(),
        "work_dir": str(work_dir),
        "train_dataloader": {
            "dataset": Numbers(data) if isinstance(data, int) else data,
            "batch_size": batch_size,
            "drop_last": True,
            "num_workers": workers,
            "persistent_workers": workers > 0,
            "worker_init_fn": {"type": start_worker},
            "sampler": {"type": EpochSampler, "shuffle": True},
            "collate_fn": {"type": "default_collate"},
        },
        "train_cfg": {"type": EpochTrainLoop, "max_epochs": epochs},
        "optim_wrapper": {"optimizer": SGD},
        "param_scheduler": [{"type": "CosineAnnealingLR", "T_max": epochs * 3, "by_epoch": False}],
        "default_hooks": {"checkpoint": CheckpointHook(**checkpoint)},
        "custom_hooks": [LossGuardHook(), GracefulStopHook(), *hooks],
        "visualizer": None,
        "default_scope": "luss",
        "randomness": {"seed": 1},
        "experiment_name": f"{work_dir}{next(RUNS)}",
        "load_from": newest,
        "resume": newest is not None,
        "cfg": {},
    }
    built = Runner(**{**settings, **dict(runner)})
    for metric in dict(runner).get("val_evaluator", ()):
        metric.runner = built
    return built


def train_until(runner, iteration):
    """Train, and be killed in an iteration, from 1; what it did is lost where nothing saved it."""
    runner.register_hook(Stop(iteration - 1))
    with pytest.raises(KeyboardInterrupt):
        runner.train()


class Stop(Hook):
    """Raises after an iteration, before it is saved."""

    priority = "LOW"

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iteration:
            raise KeyboardInterrupt


def state_of(work_dir):
    """What the newest checkpoint of a folder holds, by name, to be compared bit for bit."""
    checkpoint = load(latest_checkpoint(work_dir))
    for key in ("best_ckpt", "experiment_name"):
        checkpoint["message_hub"]["runtime_info"].pop(key, None)
    return flatten(checkpoint)
