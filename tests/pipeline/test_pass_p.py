"""PASS_p from the photos to its results, and killed in the middle of step 1."""

import json
import math
import time

import pytest
from states import Killed, assert_same, flatten
from tiny_run import FAULTY, TINY

from luss.configuration import read_config
from luss.engine.checkpoint import latest_checkpoint, load
from luss.pipeline import Pipeline

TINY_P = TINY.with_name("tiny_pass_p.py")
ITERATIONS = 12


def run(work_dir, only=None, resume=False):
    hooks = FAULTY["stages__pretrain__custom_hooks"]
    config = read_config(TINY_P, {"num_workers": 0, "stages.pretrain.custom_hooks": hooks})
    config.stages.pop("report")
    # MMEngine tells runs of one folder apart by the second in which they begin.
    time.sleep(1.1 if resume else 0)
    Pipeline(config, str(work_dir)).run(only, resume)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("tiny_p") / "run"
    run(work_dir)
    return work_dir


def test_losses_are_finite_and_the_momentum_rises(whole_run):
    (path,) = whole_run.glob("pretrain/*/vis_data/scalars.json")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == ITERATIONS
    losses = {
        "loss_clustering",
        "loss_d2s_stage3",
        "loss_d2s_stage2",
        "loss_p2p",
        "loss_pixpro",
    }
    for line in lines:
        assert {key for key in line if key.startswith("loss_")} == losses
        assert all(math.isfinite(line[key]) for key in losses)
        assert -4 <= line["loss_pixpro"] <= 4
        assert line["loss"] == pytest.approx(sum(line[key] for key in losses), abs=1e-3)
    momenta = [line["momentum"] for line in lines]
    assert momenta == sorted(momenta)
    assert momenta[0] == pytest.approx(0.99)
    assert 0.99 < momenta[-1] < 1


def test_all_steps_have_results(whole_run):
    results = json.loads((whole_run / "results.json").read_text())
    assert 0 <= results["fully_unsupervised"]["val"]["mIoU"] <= 100


def test_a_killed_step_1_ends_as_an_undisturbed_one(whole_run, tmp_path, fault):
    # Epochs have 4 iterations: in the middle of one, at the end of one, in the first of one.
    for iteration in (5, 7, 8):
        acted = []

        def kill(runner, at=iteration, acted=acted):
            if runner.iter == at and not acted:
                acted.append(True)
                raise Killed

        fault.plan = kill
        with pytest.raises(Killed):
            run(tmp_path, "pretrain", resume=True)
    fault.plan = None
    run(tmp_path, "pretrain", resume=True)
    whole, killed = (load(latest_checkpoint(root / "pretrain")) for root in (whole_run, tmp_path))
    assert whole["meta"]["iter"] == killed["meta"]["iter"] == ITERATIONS
    steps = whole["state_dict"]["objectives.pixpro.momentum_encoder.steps"]
    assert steps == ITERATIONS
    for part in ("state_dict", "optimizer", "param_schedulers"):
        assert_same(flatten(whole[part], part), flatten(killed[part], part))
