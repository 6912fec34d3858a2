"""Two splits of numbers, a model that repeats them, and a metric that adds them up."""

import json
from pathlib import Path

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

from luss.engine.loops import SplitsTestLoop
from luss.engine.runner import Runner
from luss.errors import LussError


class Counting(Dataset):
    """Item i is start + i, repeated more often after ``same_length``; ``bad`` cannot be read."""

    def __init__(self, start, count, bad=None, same_length=100):
        self.start, self.count, self.bad = start, count, bad
        self.same_length = same_length
        self.metainfo = {"classes": (f"from {start}",)}

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index == self.bad:
            raise LussError(f"number {index} is bad")
        return {"inputs": torch.full((1 + index // self.same_length,), float(self.start + index))}


class Repeat(BaseModel):
    """Gives each number back, and notes under which precision it did."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.dtypes = set()

    def forward(self, inputs, mode="tensor"):
        numbers = torch.stack(list(inputs))
        self.dtypes.add(self.layer(numbers[:, :1]).dtype)
        return [{"number": number.item()} for number in numbers[:, 0]]


class Sum(BaseMetric):
    """The sum of different numbers, ``scale`` times, and the data set's name."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def process(self, data_batch, data_samples):
        self.results += [sample["number"] for sample in data_samples]

    def compute_metrics(self, results):
        self.named = self.dataset_meta["classes"]
        return {"sum": self.scale * sum(results)}


class Moments(Hook):
    """Notes what is called when."""

    def __init__(self):
        self.calls = []

    def before_test(self, runner):
        self.calls.append("before_test")

    def before_test_epoch(self, runner):
        self.calls.append(("before", len(runner.test_dataloader)))

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.calls.append((batch_idx, [output["number"] for output in outputs]))

    def after_test_epoch(self, runner, metrics=None):
        self.calls.append(metrics)

    def after_test(self, runner):
        self.calls.append("after_test")


def loader(start, count, bad=None, same_length=100, **settings):
    dataset = Counting(start, count, bad, same_length)
    return {"dataset": dataset, "batch_size": 2, "num_workers": 0, **settings}


def runner_of(work_dir, dataloader, evaluator, hooks=(), run_log=None, **test_cfg):
    return Runner(
        model=Repeat(),
        work_dir=str(work_dir),
        test_dataloader=dataloader,
        test_evaluator=evaluator,
        test_cfg={"type": SplitsTestLoop, **test_cfg},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 1}},
        custom_hooks=list(hooks),
        default_scope="luss",
        launcher="none",
        experiment_name=str(work_dir),
        cfg={"run_log": run_log},
    )


def test_on_a_rank(rank, folder):
    """One of two processes; writes what it found."""
    splits = {"validation": loader(0, 5), "test": loader(10, 3)}
    found = {"sums": runner_of(f"{folder}/good", splits, {"type": Sum}).test()}
    # Of five numbers the second process has 1 and 3.
    try:
        runner_of(f"{folder}/bad", {"validation": loader(0, 5, bad=3)}, {"type": Sum}).test()
    except LussError as error:
        found["error"] = str(error)
    Path(f"{folder}/{rank}.json").write_text(json.dumps(found))


test_on_a_rank.__test__ = False
