"""Gradients summed over iterations, clipped, or scaled, and what a kill does to them."""

import os
import signal

import pytest
import torch
from mmengine.hooks import Hook
from mmselfsup.models.utils import CosineEMA
from states import assert_same
from toy_training import SGD, Line, state_of, toy_runner, train_until

from luss.engine.checkpoint import latest_checkpoint, load
from luss.engine.hooks import EMAHook
from luss.errors import LussError
from luss.models.objectives.momentum_encoder import MomentumEncoder

LARS = {"type": "LARS", "lr": 0.5, "momentum": 0.9, "weight_decay": 1e-4}


def train(work_dir, optimizer=None, counts=2, load_from=None, hooks=(), **settings):
    """Three epochs of three iterations; updates after 2, 4, 6, 8 and 9."""
    wrapper = {
        "optimizer": dict(optimizer or SGD),
        "accumulative_counts": counts,
        "clip_grad": {"max_norm": 0.05},
    }
    settings = {"interval": 1, "by_epoch": False, "max_keep_ckpts": -1, **settings}
    runner = {"optim_wrapper": wrapper, "randomness": {"seed": 1}}
    return toy_runner(work_dir, hooks, epochs=3, runner=runner, load_from=load_from, **settings)


def names(folder):
    return sorted(path.name for path in folder.glob("*.pth"))


def test_checkpoints_wait_for_updates(tmp_path):
    train(tmp_path / "a").train()
    assert names(tmp_path / "a") == [f"iter_{step}.pth" for step in (2, 4, 6, 8, 9)]
    train(tmp_path / "b", by_epoch=True).train()
    # Epochs end after iterations 3, 6 and 9.
    assert names(tmp_path / "b") == [f"iter_{step}.pth" for step in (4, 6, 9)]


@pytest.mark.parametrize("optimizer", [SGD, LARS])
@pytest.mark.parametrize("killed_in", [3, 4, 5, 6, 8, 9])
def test_a_kill_between_updates(tmp_path, optimizer, killed_in):
    train(tmp_path / "whole", optimizer).train()
    train_until(train(tmp_path / "killed", optimizer), killed_in)
    newest = latest_checkpoint(tmp_path / "killed")
    assert newest.name == f"iter_{(killed_in - 1) // 2 * 2}.pth"
    train(tmp_path / "killed", optimizer, load_from=str(newest)).train()
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))


def test_summed_gradients_are_the_mean_over_the_batches(tmp_path):
    seen = []

    class Look(Hook):
        def before_train(self, runner):
            runner.optim_wrapper.optimizer.register_step_pre_hook(
                lambda optimizer, *_: seen.append(
                    optimizer.param_groups[0]["params"][0].grad.clone()
                )
            )

    runner = train(tmp_path, hooks=[Look()])
    runner.optim_wrapper["clip_grad"] = None
    weight, bias = (p.detach().clone() for p in runner.model.layer.parameters())
    runner.train()
    x = torch.tensor(runner.model.seen[:2]).double() / 100
    error = weight.double() * x + bias.double() - x
    assert len(seen) == 5
    torch.testing.assert_close(seen[0].double(), (2 * error * x).mean()[None, None])


class Followed(Line):
    """A line that is followed by momentum copies, as those of PixPro and BYOL."""

    def __init__(self):
        super().__init__()
        self.own = MomentumEncoder(self.layer, 0.6)
        self.theirs = CosineEMA(self.layer, momentum=0.6)

    def forward(self, inputs, mode="loss"):
        self.own.update_parameters(self.layer)
        self.theirs.update_parameters(self.layer)
        return super().forward(inputs, mode)


@pytest.mark.parametrize("counts", [2, 4])
def test_copies_follow_as_with_a_batch_that_is_as_many_times_as_large(tmp_path, counts):
    """Twelve updates of 4 photos; the copies, the average, and the weights are the same."""

    def outcome(batch_size, counts):
        runner = toy_runner(
            tmp_path / str(counts),
            [EMAHook(momentum=0.25)],
            data=16,
            batch_size=batch_size,
            epochs=3,
            runner={
                "model": Followed(),
                "optim_wrapper": {"optimizer": dict(SGD), "accumulative_counts": counts},
                "param_scheduler": None,
            },
            interval=1,
        )
        runner.train()
        assert len(runner.model.seen) == 12 * counts
        return load(latest_checkpoint(tmp_path / str(counts)))

    large, summed = outcome(4, 1), outcome(4 // counts, counts)
    for state in ("state_dict", "ema_state_dict"):
        names = [name for name in large[state] if not name.endswith("steps")]
        assert len(names) >= 6
        for name in names:
            torch.testing.assert_close(summed[state][name], large[state][name])


class Terminate(Hook):
    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("came", "ended"), [(4, 4), (5, 6), (7, 8)])
def test_a_signal_waits_for_the_update(tmp_path, came, ended):
    train(tmp_path / "whole").train()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        train(tmp_path / "ended", hooks=[Terminate(came)], interval=100).train()
    assert stop.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    assert names(tmp_path / "ended") == [f"iter_{ended}.pth"]
    newest = str(tmp_path / "ended" / f"iter_{ended}.pth")
    train(tmp_path / "ended", load_from=newest).train()
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "ended"))


def test_a_checkpoint_between_updates_cannot_be_gone_on_from(tmp_path):
    train(tmp_path, counts=1).train()
    with pytest.raises(LussError, match=r"5 iterations .*accumulative_counts=2"):
        train(tmp_path, load_from=str(tmp_path / "iter_5.pth")).train()


def test_another_seed_cannot_go_on(tmp_path):
    train(tmp_path).train()
    checkpoint = load(tmp_path / "iter_4.pth")
    checkpoint["meta"]["seed"] = 7
    torch.save(checkpoint, tmp_path / "iter_4.pth")
    with pytest.raises(LussError, match=r"seed 7, .* seed is 1"):
        train(tmp_path, load_from=str(tmp_path / "iter_4.pth")).train()
