"""``tools/sweep.py`` on runs that take seconds."""

import json
import os
import re
import signal
import statistics
import sys
import time
from pathlib import Path

import pytest
from tiny_run import TINY, finish, start

from luss.errors import LussError
from sweeps import Sweep, plan_runs

PIXPRO = Path(__file__).resolve().parents[3] / "configs" / "ablations" / "pixpro.py"
SHORT = [
    f"stages.{stage}.train_cfg.max_epochs=1"
    for stage in ("pretrain", "pixel_attention", "finetune")
]


def whole(run, **protocols):
    """Make a run whole that had these results."""
    for stage in run.stages:
        (run.folder / stage).mkdir(parents=True)
        (run.folder / stage / "done.json").write_text("{}")
    content = {name: {"val": {"mIoU": value}} for name, value in protocols.items()}
    run.results.write_text(json.dumps({**content, "provenance": {"seed": run.seed}}))


def test_runs_that_are_not_whole_have_no_part(tmp_path):
    options = ["stages.pretrain.seed=8"]
    runs = plan_runs([str(TINY)], [0, 1, 2, 3, 4], [()], options, tmp_path)
    for run, value in zip(runs[:3], (1.0, 4.0, 9.0), strict=True):
        whole(run, fully_unsupervised=value, own=2 * value)
    (runs[2].folder / "finetune" / "done.json").unlink()
    whole(runs[3])
    sweep = Sweep(runs, tmp_path, "tools", sys.executable)
    text = sweep.write()
    found = json.loads((tmp_path / "sweep.json").read_text())
    assert found["protocols"]["own"]["tiny_pass_s"]["val"]["mIoU"]["values"] == {"0": 2, "1": 8}
    assert "not complete: finetune" in sweep.problems["tiny_pass_s, seed 2"]
    assert "no true masks" in sweep.problems["tiny_pass_s, seed 3"]
    assert "not complete: pretrain" in sweep.problems["tiny_pass_s, seed 4"]
    assert [bool(run["left_out"]) for run in found["runs"]] == [False, False, True, True, True]
    assert all(f"- {name}: " in text for name in sweep.problems)
    assert "## Seeds that stayed the same\n\n- tiny_pass_s: of pretrain\n" in text
    assert (tmp_path / "sweep.md").read_text() == text
    assert (tmp_path / "sweep_own.png").exists()


def test_what_a_sweep_evaluated_is_evaluated_again_when_the_run_was_made_again(tmp_path):
    (run,) = plan_runs([str(TINY)], [0], work_dir=tmp_path)
    whole(run, fully_unsupervised=1.0)
    protocols = ["fully_unsupervised", "distance_matching"]
    sweep = Sweep([run], tmp_path, "tools", sys.executable, protocols)
    _, by_stages, _, evaluate, note = sweep._steps(run)
    assert by_stages() is None
    assert evaluate()[1:] == ["tools/test.py", *run.arguments(), "--protocol", "distance_matching"]
    run.results.write_text(json.dumps({name: {"val": {"mIoU": 1.0}} for name in protocols}))
    # Not noted yet: the evaluation may have been killed, and these be results of before.
    assert evaluate() is not None
    assert not sweep.tables()
    note()
    sweep.problems.clear()
    assert evaluate() is None
    assert set(sweep.tables()) == set(protocols)
    os.utime(run.folder / "pretrain" / "done.json", ns=(1, 1))
    assert not sweep.tables()
    assert "not evaluated by distance_matching yet" in sweep.problems[run.name]
    assert evaluate() is not None


def test_a_config_has_rows_for_the_protocols_that_it_has(tmp_path):
    """PixPro, whose config ends with step 1, stands in the table of distance matching alone."""
    protocols = ["distance_matching", "fully_unsupervised"]
    runs = plan_runs([str(TINY), str(PIXPRO)], [0], [()], ["data_root=x"], tmp_path)
    whole(runs[0], distance_matching=1.0, fully_unsupervised=2.0)
    whole(runs[1], distance_matching=3.0)
    sweep = Sweep(runs, tmp_path, "tools", sys.executable, protocols)
    tables = sweep.tables()
    assert not sweep.problems
    assert set(tables["distance_matching"]) == {"tiny_pass_s", "pixpro"}
    assert set(tables["fully_unsupervised"]) == {"tiny_pass_s"}
    assert "no stage for\n\n- pixpro: fully_unsupervised\n" in sweep.write()
    assert len(sweep._steps(runs[1])) == 1 + 2


@pytest.mark.parametrize(
    ("protocols", "message"),
    [
        (["distance_matching", "own"], "--protocol own: no config has a stage for it"),
        (["fully_unsupervised"], "pixpro has no stage for any --protocol"),
    ],
)
def test_protocols_that_nothing_has_are_refused_before_training(tmp_path, protocols, message):
    runs = plan_runs([str(TINY), str(PIXPRO)], [0], [()], ["data_root=x"], tmp_path)
    with pytest.raises(LussError, match=message):
        Sweep(runs, tmp_path, "tools", sys.executable, protocols)


def test_failing_runs_are_named_with_their_logs(tmp_path):
    process = start(
        *("sweep.py", TINY, "--work-dir", tmp_path, "--seeds", 0, 1, "--jobs", 2),
        *("--set", "num_categories=19"),
    )
    code, said = finish(process)
    assert code == 2, said
    assert "Traceback" not in said
    end = said[said.index("error: 2 of 2 runs are not in the tables") :]
    for seed in (0, 1):
        log = tmp_path / "tiny_pass_s_num_categories=19" / f"seed_{seed}" / "console.log"
        assert re.search(rf"seed {seed}: failed \(exit code 2\): error: .*19 categories", end)
        assert f"log: {log}\n" in end
        assert "19 categories" in log.read_text()


@pytest.mark.slow
def test_killed_sweep_goes_on(tmp_path):
    arguments = (
        *("sweep.py", TINY, "--work-dir", tmp_path, "--seeds", 0, 1, "--cfg-options"),
        *("num_workers=0", *SHORT, "--set", "num_categories=6", "num_categories=19"),
    )
    good, bad = (tmp_path / f"tiny_pass_s_num_categories={number}" for number in (6, 19))
    process = start(*arguments)
    log = good / "seed_1" / "console.log"
    while "image embeddings" not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.terminate()
    code, said = finish(process)
    assert code == 128 + signal.SIGTERM, said
    assert "stopped; run the same command" in said
    assert "stopped by SIGTERM" in log.read_text()
    assert not (good / "seed_1" / "results.json").exists()
    made = {path: path.stat().st_mtime_ns for path in good.glob("seed_*/*/iter_*.pth")}
    assert len(made) == 3 + 2

    code, said = finish(start(*arguments, "--protocol", "fully_unsupervised", "distance_matching"))
    assert code == 2, said
    assert "error: 2 of 4 runs are not in the tables" in said
    assert f"log: {bad / 'seed_0' / 'console.log'}\n" in said
    # Complete runs were not recomputed.
    assert all(path.stat().st_mtime_ns == time for path, time in made.items())
    results = [json.loads((good / f"seed_{seed}" / "results.json").read_text()) for seed in (0, 1)]
    assert [one["provenance"]["seed"] for one in results] == [0, 1]
    found = json.loads((tmp_path / "sweep.json").read_text())["protocols"]
    assert set(found) == {"fully_unsupervised", "distance_matching"}
    compared = 0
    for protocol, methods in found.items():
        (splits,) = methods.values()
        for split, metrics in splits.items():
            for metric, summary in metrics.items():
                values = [one[protocol][split][metric] for one in results]
                assert summary["values"] == {"0": values[0], "1": values[1]}
                if None not in values:
                    compared += 1
                    assert summary["mean"] == pytest.approx(statistics.fmean(values))
                    assert summary["deviation"] == pytest.approx(statistics.stdev(values), abs=1e-9)
                    if (split, metric) == ("val", "mIoU"):
                        cell = f"{summary['mean']:.1f} ± {summary['deviation']:.1f}"
                        assert cell in said
    assert compared > 16
    assert (tmp_path / "sweep_distance_matching.png").exists()
