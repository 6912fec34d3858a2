"""Averaged weights: they are what a checkpoint hands on, and resumed training is exact."""

import pytest
import torch
from mmengine.hooks import Hook
from states import assert_same
from toy_training import Line, Score, state_of, toy_runner, train_until, validated

from luss.engine.checkpoint import init_weights_from, latest_checkpoint, load
from luss.engine.hooks import EMAHook

MOMENTUM = 0.25


class Record(Hook):
    """The weights after each iteration."""

    def __init__(self):
        self.weights = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.weights.append(runner.model.layer.weight.detach().clone())


def train(work_dir, hooks=(), load_from=None, **settings):
    hooks = [EMAHook(momentum=MOMENTUM), *hooks]
    settings = {"interval": 1, "by_epoch": False, **settings}
    return toy_runner(work_dir, hooks, epochs=3, load_from=load_from, **settings)


def test_a_checkpoint_holds_both_and_hands_on_the_average(tmp_path):
    record = Record()
    train(tmp_path, [record]).train()
    average = record.weights[0]
    for weight in record.weights[1:]:
        average = (1 - MOMENTUM) * average + MOMENTUM * weight
    checkpoint = load(tmp_path / "iter_9.pth")
    torch.testing.assert_close(checkpoint["state_dict"]["layer.weight"], average)
    trained = checkpoint["ema_state_dict"]["module.layer.weight"]
    assert torch.equal(trained, record.weights[-1])
    assert not torch.equal(trained, checkpoint["state_dict"]["layer.weight"])
    model = Line()
    init_weights_from(model, tmp_path / "iter_9.pth", ["layer"])
    torch.testing.assert_close(model.layer.weight.detach(), average)


@pytest.mark.parametrize("killed_in", [2, 4, 9])
def test_resumed_training_is_exact(tmp_path, killed_in):
    train(tmp_path / "whole").train()
    train_until(train(tmp_path / "killed"), killed_in)
    newest = latest_checkpoint(tmp_path / "killed")
    train(tmp_path / "killed", load_from=str(newest)).train()
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))


def test_validation_sees_the_average_and_the_best_holds_it(tmp_path):
    score = Score({3: 2.0, 6: 1.0, 9: 1.0})
    runner = train(tmp_path, runner=validated(score), save_best="mIoU", max_keep_ckpts=-1)
    runner.train()
    best, then = load(tmp_path / "best_mIoU_iter_3.pth"), load(tmp_path / "iter_3.pth")
    assert_same(best["state_dict"], then["state_dict"])
    assert score.asked == [3, 6, 9]
