"""Training for a number of iterations, over data that end or never do, exact after a kill."""

import pytest
import torch
from states import assert_same
from torch.utils.data import Sampler
from toy_training import Score, state_of, toy_runner, train_until, validated

from luss.engine.checkpoint import latest_checkpoint, load
from luss.engine.loops import IterTrainLoop
from luss.errors import LussError


class Endless(Sampler):
    """Draws without an end, in an order of the epoch in which it was begun."""

    def __init__(self, dataset, seed=None):
        self.count = len(dataset)
        self.epoch = self.start = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.epoch)
        start, self.start = self.start, 0
        drawn = 0
        while True:
            for index in torch.randperm(self.count, generator=generator).tolist():
                if drawn >= start:
                    yield index
                drawn += 1

    def __len__(self):
        return self.count


def train(work_dir, max_iters=8, sampler=None, workers=0, loop="IterTrainLoop", **settings):
    """Epochs have three iterations."""
    runner = {
        "train_cfg": {"type": loop, "max_iters": max_iters, "val_interval": 2},
        "param_scheduler": [
            {"type": "PolyLR", "power": 0.9, "by_epoch": False},
            {"type": "StepLR", "step_size": 1, "gamma": 0.5, "by_epoch": True},
        ],
        **settings.pop("runner", {}),
    }
    checkpoint = {"interval": 1, "by_epoch": False, "max_keep_ckpts": -1, **settings}
    return toy_runner(work_dir, workers=workers, runner=runner, **checkpoint)


def endless(runner):
    """The same runner, with a sampler that never ends."""
    loader = runner._train_dataloader
    loader["sampler"] = {"type": Endless}
    return runner


def rates(work_dir, steps):
    return [
        load(work_dir / f"iter_{step}.pth")["optimizer"]["param_groups"][0]["lr"] for step in steps
    ]


@pytest.mark.parametrize("name", ["IterTrainLoop", "IterBasedTrainLoop"])
def test_it_ends_where_it_should_and_epochs_are_those_of_the_data(tmp_path, name):
    runner = train(tmp_path, loop=name)
    runner.train()
    assert isinstance(runner.train_loop, IterTrainLoop)
    assert (runner.iter, runner.epoch, runner.max_epochs) == (8, 3, 3)
    assert latest_checkpoint(tmp_path).name == "iter_8.pth"
    # As the loop by epochs sees them.
    by_epoch = toy_runner(tmp_path / "epochs", epochs=3)
    by_epoch.train()
    assert runner.model.seen == by_epoch.model.seen[:8]
    # By iterations and, in steps, by epochs: rates after iterations 1, 3 and 4.
    # MMEngine reaches the end one step before the last iteration.
    expected = [0.1 * (1 - step / 7) ** 0.9 for step in (1, 2, 3, 4)]
    found = rates(tmp_path, (1, 2, 3, 4))
    assert found == pytest.approx([*expected[:3], expected[3] / 2])


@pytest.mark.parametrize("data", [lambda runner: runner, endless])
@pytest.mark.parametrize(("killed_in", "workers"), [(2, 0), (3, 0), (4, 0), (6, 0), (8, 0), (5, 1)])
def test_a_resumed_run_sees_the_rest(tmp_path, data, killed_in, workers):
    whole = data(train(tmp_path / "whole"))
    whole.train()
    killed = data(train(tmp_path / "killed", workers=workers))
    train_until(killed, killed_in)
    newest = latest_checkpoint(tmp_path / "killed")
    assert newest.name == f"iter_{killed_in - 1}.pth"
    rest = data(train(tmp_path / "killed", workers=workers, load_from=str(newest)))
    rest.train()
    assert killed.model.seen[: killed_in - 1] + rest.model.seen == whole.model.seen
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))


def test_endless_data_go_on_over_epochs(tmp_path):
    runner = endless(train(tmp_path))
    runner.train()
    order = torch.tensor(runner.model.seen).flatten()
    assert len(order) == 24
    # Two permutations of ten numbers, which no epoch of three batches cuts off.
    assert sorted(order[:10].tolist()) == sorted(order[10:20].tolist()) == list(range(10))


@pytest.mark.parametrize("killed_in", [3, 4, 7])
def test_validation_by_iterations(tmp_path, killed_in):
    scores = {2: 1.0, 4: 3.0, 6: 2.0, 8: 1.0}
    whole = Score(scores)
    train(tmp_path / "whole", runner=validated(whole), save_best="mIoU").train()
    assert whole.asked == [2, 4, 6, 8]
    begun, rest = Score(scores), Score(scores)
    killed = train(tmp_path / "killed", runner=validated(begun), save_best="mIoU")
    train_until(killed, killed_in)
    newest = str(latest_checkpoint(tmp_path / "killed"))
    train(tmp_path / "killed", runner=validated(rest), save_best="mIoU", load_from=newest).train()
    assert rest.asked == [step for step in scores if step >= killed_in - 1]
    assert [path.name for path in (tmp_path / "killed").glob("best*")] == ["best_mIoU_iter_4.pth"]
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))


def test_an_interval_by_epochs_counts_passes_over_the_data(tmp_path):
    train(tmp_path, by_epoch=True).train()
    names = sorted(path.name for path in tmp_path.glob("*.pth"))
    assert names == ["iter_3.pth", "iter_6.pth", "iter_8.pth"]


def test_intervals_that_change(tmp_path):
    score = Score(dict.fromkeys(range(1, 10), 0.0))
    cfg = {
        "type": "IterTrainLoop",
        "max_iters": 8,
        "val_interval": 3,
        "dynamic_intervals": [(5, 1)],
    }
    train(tmp_path, runner={**validated(score), "train_cfg": cfg}).train()
    assert score.asked == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("number", [0, 2.5, True])
def test_a_number_of_iterations_that_makes_no_sense(tmp_path, number):
    with pytest.raises(LussError, match="max_iters is"):
        train(tmp_path, max_iters=number).train()


def test_a_sampler_that_cannot_be_entered_in_its_middle(tmp_path):
    runner = train(tmp_path)
    runner._train_dataloader["sampler"] = {"type": "InfiniteSampler"}
    with pytest.raises(LussError, match="sampler is InfiniteSampler"):
        runner.train()
