"""What a stage would run is what it runs."""

import re

import pytest
from mmengine import Config
from tiny_run import REPOSITORY, TINY, finish, start

from luss.errors import LussError

STAGES = ("pretrain", "pixel_attention", "label_generation", "finetune", "evaluate")


def without_list(text):
    """Photos are not listed to print a configuration."""
    return re.sub(r"[0-9a-f]{16}\.jsonl", "<photos>.jsonl", text)


def test_it_is_what_training_wrote(finished_run, tmp_path, command):
    options = ("--cfg-options", "num_workers=0")
    command("print_config", TINY, "--work-dir", finished_run, "--out", tmp_path, *options)
    assert {path.stem for path in tmp_path.glob("*.py")} == set(STAGES)
    for stage in STAGES:
        wrote = (finished_run / stage / "config.py").read_text()
        assert (tmp_path / f"{stage}.py").read_text().split() == without_list(wrote).split()


def test_before_training_only_checkpoints_are_unknown(finished_run, tmp_path, command):
    empty = tmp_path / "empty"
    options = ("--cfg-options", "num_workers=0")
    command("print_config", TINY, "--work-dir", empty, "--out", tmp_path / "out", *options)
    assert not list(empty.glob("**/iter_*"))
    for stage in STAGES:
        wrote = (
            (finished_run / stage / "config.py").read_text().replace(str(finished_run), str(empty))
        )
        said = (tmp_path / "out" / f"{stage}.py").read_text()
        unknown = re.sub(r"iter_\d+\.pth", "iter_<N>.pth", without_list(wrote))
        # The longer paths are wrapped at other places.
        assert said.split() == unknown.split()


def test_options_and_switches_are_seen(tmp_path, command):
    said = command(
        "print_config", TINY, "--work-dir", tmp_path, "--stage", "pretrain", "--amp",
        "--auto-scale-lr", "--cfg-options", "stages.pretrain.train_cfg.max_epochs=7", "seed=5",
    )  # fmt: skip
    found = Config.fromstring(said, ".py")
    assert found.train_cfg.max_epochs == 7
    assert found.randomness.seed == 5
    assert found.optim_wrapper.type == "AmpOptimWrapper"
    assert found.auto_scale_lr.enable is True


@pytest.mark.parametrize(
    ("stage", "message"),
    [("nowhere", "'nowhere'"), ("report", "'report' does not have a runner")],
)
def test_stages_without_a_runner(tmp_path, command, stage, message):
    with pytest.raises(LussError, match=rf"{message}.*: pretrain, "):
        command("print_config", TINY, "--work-dir", tmp_path, "--stage", stage)


def test_the_script_prints_nothing_but_the_config(tmp_path):
    tool = "analysis_tools/print_config.py"
    process = start(tool, TINY, "--work-dir", tmp_path, "--stage", "evaluate")
    code, said = finish(process)
    assert code == 0, said
    assert (REPOSITORY / "tools" / tool).is_file()
    # With what goes to standard error, which the log is part of.
    text = said[said.index("custom_hooks = ") :]
    assert Config.fromstring(text, ".py").test_cfg.type == "SplitsTestLoop"
