"""When checkpoints are written, and which are kept."""

import pytest
import torch
from mmengine.hooks import Hook
from toy_training import toy_runner

from luss.engine.hooks import CheckpointHook
from luss.errors import LussError


def steps(folder):
    return sorted(int(path.stem[5:]) for path in folder.glob("iter_*.pth"))


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, [9, 12]),
        ({"max_keep_ckpts": -1}, [3, 6, 9, 12]),
        ({"max_keep_ckpts": 1}, [12]),
        ({"interval": 3}, [9, 12]),  # the end is always saved
        ({"interval": 5, "by_epoch": False}, [10, 12]),
        ({"interval": 4, "by_epoch": False, "max_keep_ckpts": 3}, [4, 8, 12]),
    ],
)
def test_interval_and_number_kept(tmp_path, settings, kept):
    toy_runner(tmp_path, epochs=4, **settings).train()
    assert steps(tmp_path) == kept
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / f"iter_{kept[-1]}.pth")


def test_interval_must_be_positive():
    with pytest.raises(LussError, match="interval is 0"):
        CheckpointHook(interval=0)


class NewHook(Hook):
    """Another's hook has its say in what is saved."""

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint["state_dict"]["layer.bias"] = torch.full((1,), 5.0)


def test_hooks_may_change_what_is_saved(tmp_path):
    toy_runner(tmp_path, [NewHook()]).train()
    state = torch.load(tmp_path / "iter_6.pth", weights_only=True)["state_dict"]
    assert state["layer.bias"] == 5


class Spoil(Hook):
    def __init__(self, iteration, what):
        self.iteration = iteration
        self.what = what

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            self.what(runner.model)


def infinite_loss(model):
    model.factor = float("inf")


def test_loss_that_is_not_finite_stops_training_before_it_is_saved(tmp_path):
    runner = toy_runner(tmp_path, [Spoil(4, infinite_loss)], interval=1, by_epoch=False)
    with pytest.raises(LussError, match=r"loss_line = inf in iteration 5 \(epoch 2\)"):
        runner.train()
    assert steps(tmp_path) == [3, 4]


def spoil_weights(model):
    with torch.no_grad():
        model.layer.bias.fill_(float("nan"))


class SpoilAfter(Spoil):
    priority = "LOW"

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        pass

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iteration:
            self.what(runner.model)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    runner = toy_runner(tmp_path, [SpoilAfter(3, spoil_weights)], interval=1, by_epoch=False)
    with pytest.raises(LussError, match=r"after iteration 4 .*such as layer\.bias"):
        runner.train()
    assert steps(tmp_path) == [2, 3]
