"""Scalars of runs as plots."""

import json

import numpy as np
import pytest
from PIL import Image

from inspection.plot_logs import trained_stages
from luss.errors import LussError
from luss.visualization.scalars import shown_names


def write_run(root, stages):
    """A work dir with scalars: stage -> (timestamp, name -> values)."""
    for stage, (time, scalars) in stages.items():
        path = root / stage / time / "vis_data" / "scalars.json"
        path.parent.mkdir(parents=True)
        columns = zip(*scalars.values(), strict=True)
        lines = (
            json.dumps({**dict(zip(scalars, row, strict=True)), "step": step + 1})
            for step, row in enumerate(columns)
        )
        path.write_text("\n".join(lines))
    return root


def is_drawn_in(path, colour, tolerance=12):
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return bool((np.abs(picture - colour).max(axis=-1) < tolerance).any())


BLUE, ORANGE, GREEN = (31, 119, 180), (255, 127, 14), (44, 160, 44)


@pytest.fixture
def runs(tmp_path):
    falling = [3.0, 2.0, 1.0]
    one = write_run(tmp_path / "one", {
        "pretrain": ("20260101_000000", {"loss": falling, "loss_p2p": falling, "lr": falling}),
        "finetune": ("20260102_000000", {"loss": falling, "time": falling}),
    })  # fmt: skip
    steady = {"loss": [2.0] * 900, "lr": [1.0] * 900}
    two = write_run(tmp_path / "two", {"pretrain": ("20260101_000000", steady)})
    return one, two


def test_a_plot_a_stage_with_a_line_a_run(runs, tmp_path, command):
    said = command("plot_logs", *runs, "--out", tmp_path / "plots")
    paths = [tmp_path / "plots" / f"{stage}.png" for stage in ("pretrain", "finetune")]
    assert said.split() == [word for path in paths for word in ("written", "to", str(path))]
    assert is_drawn_in(paths[0], BLUE)
    assert is_drawn_in(paths[0], ORANGE)
    assert not is_drawn_in(paths[0], GREEN)
    assert is_drawn_in(paths[1], BLUE)
    assert not is_drawn_in(paths[1], ORANGE)


def test_fewer_scalars_make_a_smaller_plot(runs, tmp_path, command):
    sizes = {}
    for keys in (["loss", "lr"], ["loss"], ["lr"], ["loss_p2p"]):
        out = tmp_path / "-".join(keys)
        command("plot_logs", runs[0], "--stage", "pretrain", "--out", out, "--keys", *keys)
        sizes["-".join(keys)] = Image.open(out / "pretrain.png").width
    assert sizes["loss-lr"] > sizes["loss"] > sizes["lr"] == sizes["loss_p2p"]


def test_the_order_of_scalars():
    found = ["lr", "time", "loss_p2p", "loss", "collapse", "eta"]
    assert shown_names(found) == ["loss", "loss_p2p", "collapse", "lr"]


def test_a_resume_does_not_change_the_order_of_stages(runs):
    one, _ = runs
    write_run(one, {"pretrain": ("20260103_000000", {"loss": [1.0]})})
    assert trained_stages(one) == ["pretrain", "finetune"]


def test_what_is_missing_is_named(runs, tmp_path, command):
    out = ("--out", tmp_path / "plots")
    with pytest.raises(LussError, match=r"nowhere is not a folder"):
        command("plot_logs", tmp_path / "nowhere", *out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(LussError, match=r"empty.*LocalVisBackend"):
        command("plot_logs", tmp_path / "empty", *out)
    with pytest.raises(LussError, match=r"a stage 'evaluate'; of: pretrain, finetune"):
        command("plot_logs", runs[0], "--stage", "evaluate", *out)
    with pytest.raises(LussError, match=r"acc.*: loss, loss_p2p, lr"):
        command("plot_logs", runs[0], "--keys", "acc", *out)
    with pytest.raises(LussError, match="different names; set them with --names"):
        command("plot_logs", runs[0], runs[0], *out)
