"""A loss that is not finite: the advice follows from the cause."""

import math

import pytest
import torch
from mmengine.model import BaseModel, ModuleDict
from torch import nn
from toy_training import Line, toy_runner

from luss.engine.hooks.loss_guard_hook import advice, largest_weight
from luss.errors import LussError
from luss.models.objectives import Clustering
from luss.structures import ViewFeatures

RATE = "optimizer.lr"


def failure(tmp_path, model=None, lr=0.1):
    runner = {"optim_wrapper": {"optimizer": {"type": "SGD", "lr": lr}}, "param_scheduler": None}
    with pytest.raises(LussError) as raised:
        toy_runner(tmp_path, runner={**runner, **({"model": model} if model else {})}).train()
    return str(raised.value)


def test_weights_that_ran_away_need_a_lower_rate(tmp_path):
    assert f"{RATE} (now 1e+30)" in failure(tmp_path, lr=1e30)


def test_a_loss_that_is_not_finite_by_itself_does_not(tmp_path):
    model = Line()
    model.factor = math.inf
    message = failure(tmp_path, model)
    assert RATE not in message
    assert "what computes loss_line" in message


class Clustered(BaseModel):
    """Clusters vectors that are numbers times a learnt row."""

    def __init__(self, **settings):
        super().__init__()
        self.row = nn.Linear(1, 8)
        clustering = Clustering(8, 8, num_prototypes=5, embedding_channels=4, **settings)
        self.objectives = ModuleDict({"clustering": clustering})

    def forward(self, inputs, mode="loss"):
        pooled = self.row(torch.cat([inputs, inputs + 1]) / 100)
        views = ViewFeatures([{4: pooled[:, :, None, None]}], len(inputs), [])
        return {"loss_clustering": self.objectives["clustering"](views)[""]}


def test_the_objective_and_its_settings_are_named(tmp_path):
    message = failure(tmp_path, Clustered(temperature=1e-42))
    assert RATE not in message
    assert "loss_clustering (epsilon=0.05, temperature=1e-42)" in message


def test_hard_codes_train(tmp_path):
    """Scores over epsilon reach 1000, whose exponential no float holds."""
    toy_runner(tmp_path, runner={"model": Clustered(epsilon=1e-3)}).train()


def test_half_precision_that_overflows():
    assert "dtype='bfloat16'" in advice({"loss_a": False, "loss": False}, 1.0, 0.1, True, {})
    assert RATE in advice({"loss_a": False, "loss": False}, math.nan, 0.1, True, {})


def test_losses_of_one_cause():
    every = {"loss_a": False, "loss_b": False, "loss": False}
    assert "data_preprocessor" in advice(every, 1.0, 0.1, False, {})
    total = {"loss_a": True, "loss_b": True, "loss": False}
    assert "loss_weights" in advice(total, 1.0, 0.1, False, {})


def test_largest_weight():
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.fill_(-2.0)
        model.bias.copy_(torch.tensor([0.0, 3.0, 4.0]))
    assert largest_weight(model).item() == pytest.approx(5 / math.sqrt(3))
    model.bias.requires_grad_(False)
    assert largest_weight(model).item() == pytest.approx(2)
    with torch.no_grad():
        model.weight[0, 0] = math.nan
    assert largest_weight(model).isnan()
