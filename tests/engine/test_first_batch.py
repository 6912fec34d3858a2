"""One batch is trained before the first stage starts, and its errors are reported then."""

import io
import json
import re

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from processes import run_ranks
from torch import nn
from toy_training import Line, Numbers
from unreached_parameters import Beside, tried, try_with_and_without

from luss.errors import LussError


class Mistaken(Line):
    """Its loss compares vectors of two lengths."""

    def forward(self, inputs, mode="loss"):
        return {"loss": nn.functional.cosine_similarity(inputs[:, 0], torch.zeros(5), dim=0)}


class Unloadable(Numbers):
    """Whose items another stage makes."""

    def __getitem__(self, draw):
        raise FileNotFoundError("labels/3.png")


class Waiting(Line):
    """Its loss reads what a hook sets."""

    def forward(self, inputs, mode="loss"):
        return {"loss": self.target * self.layer(inputs).mean()}


class Target(Hook):
    def before_train(self, runner):
        runner.model.target = 2.0


class ReadyTarget(Target):
    prepares_loss = True


@pytest.fixture
def log(monkeypatch):
    """What is logged, as a text stream."""
    text = io.StringIO()
    monkeypatch.setattr(
        MMLogger, "callHandlers", lambda self, record: text.write(record.getMessage() + "\n")
    )
    return text


def test_the_weights_move_once_by_the_loss_of_the_first_photos(tmp_path, log):
    model = Line()
    weight = model.layer.weight.item()
    slope = sum(2 * (model.layer(torch.tensor([x])).item() - x) * x for x in (0.0, 0.01, 0.02)) / 3
    tried(tmp_path, model)
    assert model.layer.weight.item() == pytest.approx(weight - 0.1 * slope, abs=1e-7)
    assert "no gradient" not in log.getvalue()


def test_parameters_without_a_gradient_are_named(tmp_path, log):
    tried(tmp_path, Beside())
    said = re.search("stages.mine: (.*?) get no gradient: (.*?)\\.", log.getvalue() + " ")
    assert said[1] == "2 of 4 parameters"
    assert log.getvalue().count("unused.weight, unused.bias. ") == 1


def test_several_processes_need_a_gradient_of_each(tmp_path):
    run_ranks(try_with_and_without, tmp_path)
    for rank in (0, 1):
        refused, trained = json.loads((tmp_path / f"rank_{rank}.json").read_text())
        assert re.search(r"unused\.weight.*stages\.mine\.find_unused_parameters=True", refused)
        assert trained == "trained"


def test_a_mistake_in_a_loss_is_placed(tmp_path):
    with pytest.raises(LussError, match=r"stages\.mine: .*test_first_batch\.py, line \d+\)"):
        tried(tmp_path, Mistaken())


def test_photos_that_another_stage_is_to_prepare_are_no_mistake(tmp_path, log):
    loader = {
        "dataset": Unloadable(9),
        "batch_size": 3,
        "sampler": {"type": "EpochSampler", "shuffle": True},
        "collate_fn": {"type": "default_collate"},
    }
    with pytest.raises(LussError, match=r"stages\.mine\.train_dataloader: .*labels/3\.png"):
        tried(tmp_path, Line(), runner={"train_dataloader": loader})
    tried(tmp_path, Line(), pending=["makes_labels"], runner={"train_dataloader": loader})
    assert re.search("makes_labels .*labels/3.png", log.getvalue())


def test_hooks_that_prepare_what_a_loss_reads(tmp_path, log):
    with pytest.raises(LussError, match="'target'"):
        tried(tmp_path, Waiting())
    tried(tmp_path, Waiting(), [Target()])
    assert re.search("'target'.* if Target prepares", log.getvalue())
    model = tried(tmp_path, Waiting(), [ReadyTarget()]).model
    assert model.target == 2.0
