"""Several splits in one ``Runner.test()``: order, hooks, evaluators, ranks, precision."""

import json
import sys
from pathlib import Path

import pytest
import torch
from processes import run_ranks

sys.path.insert(0, str(Path(__file__).parent))  # for spawned processes, too

from toy_testing import Moments, Sum, loader, runner_of, test_on_a_rank

from luss.errors import LussError


def test_splits_in_order_each_with_its_own_evaluator(tmp_path):
    moments = Moments()
    runner = runner_of(
        tmp_path,
        {"validation": loader(0, 3), "test": loader(10, 2)},
        {"validation": {"type": Sum}, "test": [{"type": Sum, "scale": 2, "prefix": "twice"}]},
        [moments],
    )
    assert runner.test() == {"validation": {"sum": 3}, "test": {"twice/sum": 42}}
    assert moments.calls == [
        "before_test",
        ("before", 2),
        (0, [0, 1]),
        (1, [2]),
        {"validation/sum": 3},
        ("before", 1),
        (0, [10, 11]),
        {"test/twice/sum": 42},
        "after_test",
    ]
    named = [evaluator.metrics[0].named for evaluator in runner.test_loop.evaluators.values()]
    assert named == [("from 0",), ("from 10",)]
    assert not runner.model.training
    # What MMEngine's own hook has logged at the end.
    (log,) = tmp_path.glob(f"*/{runner.timestamp}.json")
    assert {"validation/sum", "test/twice/sum"} <= json.loads(log.read_text()).keys()


def test_the_console_is_spared_lines_of_metrics(tmp_path, capsys):
    log = tmp_path / "run.log"
    runner_of(tmp_path, {"test": loader(0, 3)}, {"type": Sum}, run_log=str(log)).test()
    shown = capsys.readouterr().out
    assert "predicting test done: 2 batches" in shown and "Epoch(test)" not in shown
    assert "test/sum" not in shown
    assert "test/sum: 3.0000" in log.read_text()


def test_one_evaluator_for_all_starts_anew(tmp_path):
    splits = {"validation": loader(0, 3), "test": loader(10, 2)}
    assert runner_of(tmp_path, splits, {"type": Sum}).test() == {
        "validation": {"sum": 3},
        "test": {"sum": 21},
    }


def test_items_of_a_batch_may_differ_in_size(tmp_path):
    moments = Moments()
    splits = {"test": loader(0, 6, same_length=2, batch_size=4)}
    assert runner_of(tmp_path, splits, {"type": Sum}, [moments]).test() == {"test": {"sum": 15}}
    assert [call[1] for call in moments.calls[2:4]] == [[0, 1, 2, 3], [4, 5]]


def test_workers_start_as_those_of_training_do(tmp_path):
    settings = {"num_workers": 1, "worker_init_fn": {"type": "luss.start_worker"}}
    splits = {"test": loader(10, 5, **settings)}
    assert runner_of(tmp_path, splits, {"type": Sum}).test() == {"test": {"sum": 60}}


@pytest.mark.parametrize(
    ("precision", "dtype"), [({}, torch.float32), ({"bf16": True}, torch.bfloat16)]
)
def test_precision(tmp_path, precision, dtype):
    runner = runner_of(tmp_path, {"test": loader(0, 1)}, {"type": Sum}, **precision)
    runner.test()
    assert runner.model.dtypes == {dtype}


@pytest.mark.parametrize(
    ("splits", "evaluator", "test_cfg", "message"),
    [
        ({}, {"type": Sum}, {}, "a data loader's config for each split"),
        ({"test": loader(0, 1)}, {"val": {"type": Sum}}, {}, "entries for val, expected .* test"),
        ({"test": loader(0, 1)}, {"type": Sum}, {"fp16": True, "bf16": True}, "fp16 and bf16"),
        ({"test": loader(0, 3, bad=1)}, {"type": Sum}, {}, "number 1 is bad"),
    ],
)
def test_bad_settings(tmp_path, splits, evaluator, test_cfg, message):
    with pytest.raises(LussError, match=message):
        runner_of(tmp_path, splits, evaluator, **test_cfg).test()


def test_two_processes_share_images_and_failures(tmp_path):
    run_ranks(test_on_a_rank, tmp_path)
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found == {
            "sums": {"validation": {"sum": 10}, "test": {"sum": 33}},
            "error": "number 3 is bad",
        }
