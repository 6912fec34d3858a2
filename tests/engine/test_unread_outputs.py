"""Losses are read many iterations at once, and none is lost."""

import math

import pytest
import torch
from toy_training import Line, toy_runner

from luss.engine.unread_outputs import UnreadOutputs
from luss.errors import LussError


def losses(iteration):
    return {"loss": torch.tensor([iteration / 4], requires_grad=True), "count": iteration}


def test_all_iterations_are_read_in_order():
    unread = UnreadOutputs(interval=3)
    due = []
    for iteration in range(5):
        unread.add(iteration, losses(iteration))
        due.append(unread.is_due(iteration, batches=5))
        if due[-1]:
            found = unread.read()
            assert [number for number, _ in found] == list(range(iteration + 1))[-len(found) :]
            assert all(values == {"loss": n / 4, "count": n} for n, values in found)
    assert due == [False, False, True, False, True]
    assert unread.read() == []


def test_cpus_read_every_iteration():
    unread = UnreadOutputs()
    unread.add(0, losses(0))
    assert unread.is_due(0, batches=5)
    assert unread.read() == [(0, {"loss": 0.0, "count": 0})]
    unread.add(0, {"loss": torch.zeros((), device="meta")})
    assert not unread.is_due(0, batches=5)


class SpoiltLine(Line):
    """A loss that is infinite in the second iteration."""

    def forward(self, inputs, mode="loss"):
        if mode == "loss":
            self.factor = math.inf if len(self.seen) == 1 else 1.0
        return super().forward(inputs, mode)


@pytest.mark.parametrize("by_epoch", [True, False])
def test_a_bad_loss_is_found_before_a_checkpoint_has_it(tmp_path, by_epoch):
    guard = {"type": "LossGuardHook", "interval": 100}
    runner = toy_runner(
        tmp_path,
        [guard],
        data=9,
        epochs=1,
        interval=1 if by_epoch else 3,
        by_epoch=by_epoch,
        runner={"model": SpoiltLine()},
    )
    with pytest.raises(LussError, match="iteration 2 "):
        runner.train()
    assert not list(tmp_path.glob("*.pth"))
