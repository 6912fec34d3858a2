"""Training of any algorithm that was killed and resumed ends as one that was not, bit for bit."""

import pytest
import torch
from processes import run_ranks
from small_algorithms import ALGORITHMS, BATCH, OBJECTIVES
from small_training import EPOCHS, ITERATIONS, train
from states import assert_same
from toy_training import state_of
from two_processes import train_swav

# One of each kind: queues and a hook that writes to the model, a queue outside of the model, a
# cosine momentum copy of a ViT, masks drawn at random.
QUICK = ("DenseCL", "SwAV", "MoCo v3", "MAE")
NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ALGORITHMS]


@pytest.mark.parametrize("name", NAMES)
def test_killed_and_resumed(tmp_path, name):
    objectives = OBJECTIVES["both"] if ALGORITHMS[name].maps else ()
    train(tmp_path / "whole", name, objectives)
    # In the middle of the second epoch, and in the first iteration of the third.
    for stop in (ITERATIONS + 1, 2 * ITERATIONS):
        train(tmp_path / "killed", name, objectives, stop=stop)
    runner = train(tmp_path / "killed", name, objectives)
    assert runner.iter == ITERATIONS * EPOCHS
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))


@pytest.mark.slow
def test_two_processes(tmp_path):
    """SwAV has a queue in each process, and synchronised batch norm, which CPUs have not."""
    run_ranks(train_swav, tmp_path)
    whole = state_of(tmp_path / "whole")
    assert_same(whole, state_of(tmp_path / "killed"))
    queue = whole[".swav_queue"]
    assert queue.shape == (2, 2, BATCH, 12)
    torch.testing.assert_close(queue.norm(dim=3), torch.ones(2, 2, BATCH))
    assert not torch.equal(queue[0], queue[1])
