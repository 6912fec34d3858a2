"""docs/deviations.md: its options are ones that configs have, and they change something."""

import re
from argparse import ArgumentParser
from pathlib import Path

import pytest
from mmengine import DictAction

from luss.configuration import read_config

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docs" / "deviations.md").read_text()
OPTIONS = sorted(set(re.findall(r"`(stages\.[^=`]+=[^`]+)`", TEXT)))


def test_there_are_options():
    assert len(OPTIONS) >= 8


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_changes_what_it_names(option):
    parser = ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    options = parser.parse_args(["--cfg-options", option]).cfg_options
    semi = "finetune_semi" in option
    path = REPOSITORY / "configs" / ("semi_supervised/pass_s_in50_adamw.py" if semi else
                                     "pass/pass_s_in50.py")  # fmt: skip
    before, after = read_config(path), read_config(path, options)
    ((key, value),) = options.items()
    *parents, last = key.split(".")
    for parent in parents:
        before, after = (
            part[int(parent)] if isinstance(part, list) else part[parent]
            for part in (before, after)
        )
    # 'sample_first' and the like have the code's default where the config is silent.
    assert before.get(last) != value
    assert after[last] == value


def test_the_paper_s_final_rate_is_named_for_every_stage_that_has_another():
    """Section 5.1 ends all trainings at 6e-6, as the ablation of the final rate has it."""
    folder = REPOSITORY / "configs"
    ours = read_config(folder / "pass" / "pass_s_in300.py")
    paper = read_config(folder / "ablations" / "final_rate_paper.py").stages
    named = [option for option in OPTIONS if ".eta_min=" in option]
    ends = {
        name: stage.param_scheduler[-1].eta_min
        for name, stage in ours.stages.items()
        if "param_scheduler" in stage
    }
    assert set(ends.values()) == {6e-4}
    assert {option.split(".")[1] for option in named} == set(ends)
    options = {key: float(value) for key, value in (option.split("=") for option in named)}
    changed = read_config(folder / "pass" / "pass_s_in300.py", options).stages
    for name in ends:
        assert changed[name].param_scheduler[-1].eta_min == 6e-6
        assert changed[name].param_scheduler == paper[name].param_scheduler


def test_named_code_exists():
    """Files and classes that the page points to."""
    for path in re.findall(r"`(luss/[\w/.]+)`", TEXT):
        assert (REPOSITORY / path).exists(), path
    import luss.models

    for name in re.findall(r"`luss\.models\.(?:segmentors\.)?(\w+)", TEXT):
        assert hasattr(luss.models, name) or hasattr(luss.models.segmentors, name), name
