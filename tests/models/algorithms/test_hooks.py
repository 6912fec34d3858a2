"""Hooks of mmselfsup find on the model what they look for, and ours does what it says."""

import pytest
import torch
from mmengine.hooks import Hook
from small_training import BATCH, HOOKS, ITERATIONS, train
from toy_training import SGD

from luss.errors import LussError


class Note(Hook):
    """Writes something down after each iteration, before it is saved."""

    def __init__(self, read):
        self.read = read
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append(self.read(runner))


def swav_hook(**settings):
    return {**HOOKS["SwAV"][0], **settings}


def test_densecl_hook_sets_the_weight_of_the_dense_loss(tmp_path):
    note = Note(lambda runner: runner.model.loss_lambda)
    train(tmp_path, "DenseCL", ("p2p",), [*HOOKS["DenseCL"], note])
    assert note.seen == [0.0] * 5 + [0.5] * 4


def summed(counts):
    return {"optimizer": SGD, "accumulative_counts": counts}


def test_warm_up_and_freezing_count_updates_where_gradients_are_summed(tmp_path):
    """Nine iterations, three updates; the first two are held back."""
    note = Note(lambda runner: runner.model.loss_lambda)
    hooks = [{"type": "DenseCLHook", "start_iters": 2}, note]
    train(tmp_path / "a", "DenseCL", ("p2p",), hooks, optim_wrapper=summed(3))
    assert note.seen == [0.0] * 6 + [0.5] * 3
    note = Note(lambda runner: runner.model.head.loss.prototypes.weight.requires_grad)
    train(tmp_path / "b", "SwAV", (), [swav_hook(), note], optim_wrapper=summed(3))
    assert note.seen == [False] * 6 + [True] * 3


def test_simsiam_hook_holds_the_rate_of_the_predictor(tmp_path):
    note = Note(
        lambda runner: {
            group["lr"] for group in runner.optim_wrapper.param_groups if group.get("fix_lr")
        }
    )
    train(tmp_path, "SimSiam", ("p2p",), [*HOOKS["SimSiam"], note])
    assert note.seen == [{0.1}] * 9


def test_swav_hook_fills_the_queue_and_frees_the_prototypes(tmp_path):
    queue = lambda runner: runner.model.head.loss.queue  # noqa: E731
    filled = Note(lambda runner: 0 if queue(runner) is None else int(queue(runner).any(2).sum()))
    prototypes = Note(lambda runner: runner.model.head.loss.prototypes.weight.detach().clone())
    runner = train(tmp_path, "SwAV", (), [swav_hook(), filled, prototypes])
    # From the second epoch on; two crops, two batches of 4, the row to spare was rounded off.
    assert filled.seen == [0] * ITERATIONS + [8, 16, 16, 16, 16, 16]
    assert queue(runner).shape == (2, 2 * BATCH, 12)
    # Frozen in two iterations. The loss brings them to unit length before each step.
    first, second, third, *_ = prototypes.seen
    torch.testing.assert_close(first, second)
    assert not torch.allclose(second, third)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"queue_length": BATCH - 1}, "queue holds 3 embeddings, but one batch .* has 4"),
        ({"frozen_layers_cfg": {"head.prototypes": 2}}, "'head.prototypes'"),
    ],
)
def test_swav_hook_rejects(tmp_path, settings, match):
    with pytest.raises(LussError, match=match):
        train(tmp_path, "SwAV", (), [swav_hook(**settings)])
