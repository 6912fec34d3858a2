"""Training warns of a collapse, and goes on."""

import json

import pytest
from tiny_run import run_tiny


def pretrain(work_dir, **settings):
    hook = {"type": "CollapseHook", "interval": 2, "patience": 2, **settings}
    run_tiny(
        work_dir,
        "pretrain",
        stages__pretrain__custom_hooks=[{"type": "ClusteringHook"}, hook],
    )
    return (work_dir / "run.log").read_text()


@pytest.mark.parametrize(
    ("signs", "warned"),
    [
        # Everything counts as ln K; every output as equal; nothing does.
        ({"loss_margin": 10.0, "min_spread": -1.0}, True),
        ({"loss_margin": -1.0, "min_spread": 2.0}, True),
        ({"loss_margin": -1.0, "min_spread": -1.0}, False),
    ],
)
def test_signs_in_a_row_are_warned_of_once(tmp_path, signs, warned):
    said = pretrain(tmp_path, **signs)
    assert said.count("WARNING - clustering looks collapsed") == warned
    assert (tmp_path / "pretrain" / "done.json").exists()
    lines = next((tmp_path / "pretrain").glob("*/vis_data/scalars.json")).read_text().splitlines()
    spreads = [json.loads(line)["spread"] for line in lines if "spread" in line]
    assert spreads
    assert all(0 <= value <= 1 for value in spreads)
