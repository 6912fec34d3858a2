"""Which iterations the collapse hook takes for a collapse, and when it warns."""

import logging
import math

import pytest
import torch
from mmengine.model import BaseModel
from toy_training import toy_runner

from luss.engine.hooks import CollapseHook
from luss.models.objectives import Clustering
from luss.structures import ViewFeatures

PROTOTYPES = 7


class Clustered(BaseModel):
    """Shows one sign of a collapse in the iterations (from 0) that are named.

    Its photos look alike, or its loss is that of equal scores.
    """

    def __init__(self, iterations, sign):
        super().__init__()
        self.iterations = iterations
        self.sign = sign
        self.clustering = Clustering(6, 8, PROTOTYPES, 5)
        self.done = 0

    def forward(self, inputs, mode="loss"):
        torch.manual_seed(self.done)
        pooled = torch.randn(8, 6)
        collapsed = self.done in self.iterations
        self.done += 1
        if collapsed and self.sign == "spread":
            pooled = pooled[:1].expand(8, -1)
        loss = self.clustering(ViewFeatures([{4: pooled[..., None, None]}], 4, []))[""]
        if collapsed and self.sign == "loss":
            loss = 0 * loss + math.log(PROTOTYPES)
        return {"loss_clustering": loss}


def warnings_of(runner):
    said = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = said.append
    runner.logger.addHandler(handler)
    runner.train()
    return [record.getMessage() for record in said]


@pytest.mark.parametrize(
    ("iterations", "warnings"),
    [((), 0), ((1,), 0), ((1, 2), 1), ((1, 2, 3, 4), 1), ((0, 2, 4), 0), ((0, 2, 3, 5), 1)],
)
@pytest.mark.parametrize(
    ("sign", "settings"), [("loss", {"min_spread": -1.0}), ("spread", {"loss_margin": -1.0})]
)
def test_either_sign_counts_in_a_row(tmp_path, iterations, warnings, sign, settings):
    runner = toy_runner(tmp_path, [CollapseHook(interval=1, patience=2, **settings)])
    runner.model = Clustered(iterations, sign)
    assert ["collapsed" in message for message in warnings_of(runner)] == [True] * warnings


def test_it_looks_after_updates_where_gradients_are_summed(tmp_path):
    """Six iterations, of which 2, 4 and 6 update the weights; the third look warns."""
    settings = {"interval": 1, "patience": 3, "min_spread": -1.0}
    summed = {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 2}
    runner = toy_runner(tmp_path, [CollapseHook(**settings)], runner={"optim_wrapper": summed})
    runner.model = Clustered(range(6), "loss")
    (message,) = [text for text in warnings_of(runner) if "collapsed" in text]
    assert "over 6 iterations" in message
