"""Which runs a sweep has, and what is rejected before any of them starts."""

import pytest
import tiny_run

from luss.errors import LussError
from sweeps import Variant, expand_settings, plan_runs

TINY = str(tiny_run.TINY)
EPOCHS = "stages.finetune.train_cfg.max_epochs"


def test_a_key_with_several_values_takes_each():
    assert expand_settings([]) == [()]
    assert expand_settings(["a=1", "b.c=2"]) == [("a=1", "b.c=2")]
    # A comma makes a list, as in --cfg-options.
    assert expand_settings(["a=1,2", "b=3", "a=4", "b=5"]) == [
        ("a=1,2", "b=3"),
        ("a=1,2", "b=5"),
        ("a=4", "b=3"),
        ("a=4", "b=5"),
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a"], "--set is 'a', expected KEY=VALUE"),
        (["seed=1"], "--set seed=1 sets the seed"),
        (["a=1", "a=1"], "--set a=1 occurs twice"),
        (["a=(1,2"], r"--set a=\(1,2: "),
    ],
)
def test_settings_that_are_none(texts, message):
    with pytest.raises(LussError, match=message):
        expand_settings(texts)


def test_runs_and_their_folders(tmp_path):
    settings = [(), (f"{EPOCHS}=1",)]
    runs = plan_runs([TINY], [5, 2], settings, ["num_workers=0"], tmp_path)
    varied = f"tiny_pass_s_{EPOCHS}=1"
    assert [run.folder.relative_to(tmp_path).as_posix() for run in runs] == [
        "tiny_pass_s/seed_5",
        f"{varied}/seed_5",
        "tiny_pass_s/seed_2",
        f"{varied}/seed_2",
    ]
    last = runs[-1]
    assert last.arguments() == [
        *(TINY, "--work-dir", str(last.folder)),
        *("--cfg-options", "num_workers=0", f"{EPOCHS}=1", "seed=2"),
    ]
    assert last.name == f"tiny_pass_s, {EPOCHS}=1, seed 2"
    assert last.own_seeds == ()
    expected = "pretrain pixel_attention label_generation finetune evaluate report"
    assert last.stages == tuple(expected.split())


def test_folder_names_are_safe_and_differ():
    names = [
        Variant("x/c.py", (f"title={text}",)).folder
        for text in ("a b", "a/b", "a-b", "../b", "é", "x" * 300, "x" * 301)
    ]
    assert len(set(names)) == len(names)
    assert names[2] == "c_title=a-b"
    for name in names:
        assert len(name) < 200
        assert name.isascii()
        assert not set(name) & set("/ ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [0]), "at least one config"),
        (([TINY], [1, 1]), "--seeds has 1 twice"),
        (([TINY, TINY], [0]), "the same folder tiny_pass_s"),
        (([TINY], [0], [("sed=1",)]), "no setting 'sed'"),
        (([TINY], [0], [()], ["seed=1"]), "use --seeds"),
        (([TINY], [0], [()], ["seed"]), "--cfg-options is 'seed'"),
        ((["nowhere.py"], [0]), "there is no config nowhere.py"),
    ],
)
def test_sweeps_that_are_refused(arguments, message, tmp_path):
    with pytest.raises(LussError, match=message):
        plan_runs(*arguments, work_dir=tmp_path)


def test_each_run_draws_its_own_demo_data(tmp_path):
    apart = plan_runs([TINY], [0, 1], work_dir=tmp_path)
    assert not any("data_root" in option for run in apart for option in run.options)
    shared = plan_runs([TINY], [0, 1], [()], [f"data_root={tmp_path}"], tmp_path)
    for run in shared:
        # The last one holds.
        chosen = [option for option in run.options if option.startswith("data_root=")]
        assert chosen[-1] == f"data_root={run.folder / 'data'}"


def test_stages_with_a_seed_of_their_own_are_known(tmp_path):
    (run,) = plan_runs([TINY], [0], [("stages.finetune.seed=31",)], work_dir=tmp_path)
    assert run.own_seeds == ("finetune",)
