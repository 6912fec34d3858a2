"""Training that goes on in the middle of an epoch sees what it would have seen."""

import multiprocessing

import pytest
import torch
from toy_training import Stop, toy_runner

from luss.engine.checkpoint import latest_checkpoint, load
from luss.errors import LussError


@pytest.mark.parametrize(("iteration", "workers"), [(1, 0), (2, 0), (3, 0), (5, 0), (7, 0), (5, 1)])
def test_resumed_training_sees_the_rest(tmp_path, iteration, workers):
    children = set(multiprocessing.active_children())
    whole = toy_runner(tmp_path / "whole", epochs=3)
    whole.train()
    begun = toy_runner(
        tmp_path, [Stop(iteration)], epochs=3, workers=workers, interval=1, by_epoch=False
    )
    with pytest.raises(KeyboardInterrupt):
        begun.train()
    newest = latest_checkpoint(tmp_path)
    assert newest.name == f"iter_{iteration}.pth"
    rest = toy_runner(
        tmp_path, epochs=3, workers=workers, interval=1, by_epoch=False, load_from=str(newest)
    )
    rest.train()
    # Interrupted and finished training have ended their workers.
    assert set(multiprocessing.active_children()) <= children
    assert begun.model.seen[:iteration] + rest.model.seen == whole.model.seen
    assert rest.iter == whole.iter == 9
    first, second = (load(latest_checkpoint(path)) for path in (tmp_path / "whole", tmp_path))
    assert first["meta"] == second["meta"]
    for key, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][key])
    momentum = [state["optimizer"]["state"][0]["momentum_buffer"] for state in (first, second)]
    assert torch.equal(*momentum)
    assert first["param_schedulers"] == second["param_schedulers"]


def test_each_epoch_sees_each_number_once_at_most(tmp_path):
    runner = toy_runner(tmp_path, data=10, batch_size=3, epochs=2)
    runner.train()
    draws = torch.tensor(runner.model.seen).view(2, 9)
    for epoch in range(2):
        assert len(set((draws[epoch] - 10 * epoch).tolist()) & set(range(10))) == 9


def test_fewer_numbers_than_a_batch(tmp_path):
    with pytest.raises(LussError, match=r"2 images .* do not fill a batch of 3"):
        toy_runner(tmp_path, data=2).train()


def test_other_batches_cannot_go_on(tmp_path):
    begun = toy_runner(tmp_path, [Stop(4)], interval=1, by_epoch=False)
    with pytest.raises(KeyboardInterrupt):
        begun.train()
    newest = str(latest_checkpoint(tmp_path))
    with pytest.raises(LussError, match=r"with 3 iterations per epoch, .* with 5"):
        toy_runner(tmp_path, batch_size=2, load_from=newest).train()


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    whole = toy_runner(tmp_path / "whole", epochs=3)
    whole.train()
    begun = toy_runner(tmp_path, [Stop(5)], epochs=3, interval=1, by_epoch=False)
    with pytest.raises(KeyboardInterrupt):
        begun.train()
    newest = tmp_path / "iter_5.pth"
    newest.write_bytes(newest.read_bytes()[:-10])
    rest = toy_runner(
        tmp_path, epochs=3, interval=1, by_epoch=False, max_keep_ckpts=1, load_from=str(newest)
    )
    rest.train()
    logs = [path.read_text() for path in tmp_path.glob("*/*.log")]
    assert any(f"{newest} IS DAMAGED" in t and f"from {tmp_path}/iter_4" in t for t in logs)
    assert rest.model.seen == whole.model.seen[4:]
    # What training wrote is kept in spite of the damaged one's number.
    assert sorted(path.name for path in tmp_path.glob("iter_*")) == [
        "iter_5.pth.damaged",
        "iter_9.pth",
    ]
    first, second = (load(latest_checkpoint(path)) for path in (tmp_path / "whole", tmp_path))
    assert first["meta"] == second["meta"]
    assert torch.equal(first["state_dict"]["layer.weight"], second["state_dict"]["layer.weight"])


def test_no_checkpoint_is_whole(tmp_path):
    (tmp_path / "iter_4.pth").write_bytes(b"PK\x03\x04")
    with pytest.raises(LussError, match=r"iter_4\.pth is damaged"):
        toy_runner(tmp_path, load_from=str(tmp_path / "iter_4.pth")).train()
    assert (tmp_path / "iter_4.pth").exists()
