"""The best model of validation is kept, beside the newest and never in its place."""

import pytest
import torch
from states import Killed, assert_same
from toy_training import Score, state_of, toy_runner, train_until, validated

from luss.engine.checkpoint import checkpoint_digest, latest_checkpoint, load
from luss.engine.hooks import CheckpointHook
from luss.errors import LussError

SCORES = {3: 10.0, 6: 30.0, 9: 20.0, 12: 30.0}


def train(work_dir, score, hooks=(), load_from=None, **settings):
    runner = {
        **validated(score),
        "param_scheduler": [
            {
                "type": "ReduceOnPlateauLR",
                "monitor": "mIoU",
                "rule": "greater",
                "factor": 0.5,
                "patience": 1,
            }
        ],
    }
    return toy_runner(
        work_dir, hooks, epochs=4, runner=runner, load_from=load_from, save_best="mIoU", **settings
    )


def best(folder):
    return [path.name for path in folder.glob("best_*")]


def test_the_best_is_kept_and_is_not_the_newest(tmp_path):
    score = Score(SCORES)
    train(tmp_path, score, max_keep_ckpts=-1).train()
    assert score.asked == [3, 6, 9, 12]
    assert best(tmp_path) == ["best_mIoU_iter_6.pth"]
    assert latest_checkpoint(tmp_path).name == "iter_12.pth"
    found, then = load(tmp_path / "best_mIoU_iter_6.pth"), load(tmp_path / "iter_6.pth")
    assert torch.equal(found["state_dict"]["layer.weight"], then["state_dict"]["layer.weight"])
    assert "optimizer" not in found
    info = load(tmp_path / "iter_12.pth")["message_hub"]["runtime_info"]
    assert info["best_score"] == 30
    assert info["best_ckpt"] == str(tmp_path / "best_mIoU_iter_6.pth")
    with pytest.raises(LussError, match="not the training state"):
        train(tmp_path, score, load_from=str(tmp_path / "best_mIoU_iter_6.pth")).train()


@pytest.mark.parametrize("killed_at", [6, 9, 12])
def test_a_validation_that_was_killed_is_made_up_for(tmp_path, killed_at):
    train(tmp_path / "whole", Score(SCORES)).train()
    short = Score({step: score for step, score in SCORES.items() if step < killed_at})
    with pytest.raises(Killed):
        train(tmp_path / "killed", short).train()
    newest = str(latest_checkpoint(tmp_path / "killed"))
    rest = Score(SCORES)
    train(tmp_path / "killed", rest, load_from=newest).train()
    assert rest.asked == [step for step in SCORES if step >= killed_at]
    assert best(tmp_path / "killed") == ["best_mIoU_iter_6.pth"]
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))


def test_a_kill_between_validations(tmp_path):
    # The checkpoint of iteration 6 does not know yet that its model is the best.
    train(tmp_path / "whole", Score(SCORES)).train()
    train_until(train(tmp_path / "killed", Score(SCORES)), 8)
    newest = str(latest_checkpoint(tmp_path / "killed"))
    rest = Score(SCORES)
    train(tmp_path / "killed", rest, load_from=newest).train()
    assert rest.asked == [6, 9, 12]
    assert best(tmp_path / "killed") == ["best_mIoU_iter_6.pth"]
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))


def test_a_checkpoint_in_mid_epoch_is_not_validated_again(tmp_path):
    train_until(train(tmp_path, Score(SCORES), interval=1, by_epoch=False), 5)
    rest = Score(SCORES)
    train(tmp_path, rest, load_from=str(tmp_path / "iter_4.pth")).train()
    assert rest.asked == [6, 9, 12]


def test_several_metrics_and_rules(tmp_path):
    runner = toy_runner(
        tmp_path,
        epochs=4,
        runner=validated(Score(SCORES)),
        save_best=["mIoU", "size"],
        rule=["less", "greater"],
    )
    runner.train()
    assert sorted(best(tmp_path)) == ["best_mIoU_iter_3.pth", "best_size_iter_3.pth"]
    info = load(tmp_path / "iter_12.pth")["message_hub"]["runtime_info"]
    assert (info["best_score_mIoU"], info["best_score_size"]) == (10, 4)


def test_auto_is_the_first_metric(tmp_path):
    toy_runner(tmp_path, runner=validated(Score(SCORES)), save_best="auto", rule="greater").train()
    assert best(tmp_path) == ["best_size_iter_3.pth"]


def test_a_metric_that_is_not_there(tmp_path):
    runner = toy_runner(tmp_path, runner=validated(Score(SCORES)), save_best="mAcc")
    with pytest.raises(LussError, match=r"save_best is 'mAcc', .* gives 'size', 'mIoU'"):
        runner.train()


def test_no_validation_to_tell_the_best(tmp_path):
    with pytest.raises(LussError, match=r"save_best .* has no validation; add val_dataloader"):
        toy_runner(tmp_path, save_best="mIoU").train()


def test_published_copies_hold_what_was_asked_for(tmp_path):
    runner = train(tmp_path, Score(SCORES), published_keys=["state_dict", "meta"])
    runner.train()
    names = sorted(path.stem.rpartition("-")[0] for path in tmp_path.glob("*-????????.pth"))
    assert names == ["best_mIoU_iter_6", "iter_12"]
    for path in tmp_path.glob("*-????????.pth"):
        assert load(path).keys() == {"state_dict", "meta"}
        assert path.stem[-8:] == checkpoint_digest(path)[:8]
    assert latest_checkpoint(tmp_path).name == "iter_12.pth"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"out_dir": "elsewhere"}, "out_dir is 'elsewhere'"),
        ({"filename_tmpl": "epoch_{}.pth"}, r"filename_tmpl is 'epoch_{}\.pth'"),
        ({"backend_args": {"backend": "petrel"}}, "backend_args"),
        ({"save_last": False}, "save_last is False"),
        ({"interval": -2}, "interval is -2"),
    ],
)
def test_what_would_break_promises_is_refused(settings, said):
    with pytest.raises(LussError, match=said):
        CheckpointHook(**settings)


def test_the_end_alone(tmp_path):
    toy_runner(tmp_path, epochs=4, interval=-1).train()
    assert [path.name for path in tmp_path.glob("*.pth")] == ["iter_12.pth"]


def test_saving_begins_later(tmp_path):
    toy_runner(tmp_path, epochs=4, save_begin=2, interval=2, max_keep_ckpts=-1).train()
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == ["iter_12.pth", "iter_6.pth"]


def test_without_the_optimizer_there_is_no_going_on(tmp_path):
    toy_runner(tmp_path, save_optimizer=False).train()
    assert "optimizer" not in load(tmp_path / "iter_6.pth")
    again = toy_runner(tmp_path, epochs=3, load_from=str(tmp_path / "iter_6.pth"))
    with pytest.raises(LussError, match="not the training state"):
        again.train()


def test_objects_are_refused_when_they_are_saved(tmp_path):
    runner = toy_runner(tmp_path)
    before = runner.call_hook

    def call_hook(name, **arguments):
        before(name, **arguments)
        if name == "before_save_checkpoint":
            arguments["checkpoint"]["mine"] = {"path": tmp_path}

    runner.call_hook = call_hook
    with pytest.raises(LussError, match=r"checkpoint\.mine\.path is a \w*Path, .* plain values"):
        runner.train()
    assert not list(tmp_path.glob("*.pth"))
