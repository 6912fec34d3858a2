"""Early stopping counts on over a kill."""

import pytest
from states import assert_same
from toy_training import Score, state_of, toy_runner, train_until, validated

from luss.engine.checkpoint import latest_checkpoint
from luss.engine.hooks import EarlyStoppingHook

# Better until iteration 6; patience ends after iteration 15.
SCORES = {3: 1.0, 6: 2.0, 9: 1.5, 12: 1.5, 15: 1.5, 18: 9.0}


def train(work_dir, load_from=None, **settings):
    hook = EarlyStoppingHook(monitor="mIoU", rule="greater", patience=3, min_delta=0.0)
    score = Score(SCORES)
    settings = {"max_keep_ckpts": -1, **settings}
    runner = toy_runner(
        work_dir, [hook], epochs=6, runner=validated(score), load_from=load_from, **settings
    )
    return runner, score


def test_the_model_of_that_moment_is_saved(tmp_path):
    runner, score = train(tmp_path, interval=10)
    runner.train()
    assert score.asked == [3, 6, 9, 12, 15]
    assert [path.name for path in tmp_path.glob("*.pth")] == ["iter_15.pth"]


@pytest.mark.parametrize("killed_in", [5, 10, 14])
def test_a_resumed_run_stops_where_it_would_have(tmp_path, killed_in):
    whole, _ = train(tmp_path / "whole")
    whole.train()
    killed, _ = train(tmp_path / "killed")
    train_until(killed, killed_in)
    rest, score = train(tmp_path / "killed", str(latest_checkpoint(tmp_path / "killed")))
    rest.train()
    assert score.asked[-1] == 15
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))
