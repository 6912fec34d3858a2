"""What ``--amp`` and ``--auto-scale-lr`` change, and where they would change nothing."""

import pytest
from mmengine import Config

from luss.errors import LussError
from luss.training_switches import scale_learning_rates, use_mixed_precision


def config_of(stages, **settings):
    return Config({"stages": stages, **settings})


SGD = {"optimizer": {"type": "SGD", "lr": 1.0}}


def test_mixed_precision_in_all_stages_that_train():
    config = config_of(
        {
            "a": {"optim_wrapper": SGD},
            "b": {"type": "Test"},
            "c": {"optim_wrapper": {"type": "AmpOptimWrapper", "dtype": "bfloat16", **SGD}},
        }
    )
    use_mixed_precision(config)
    assert config.stages.a.optim_wrapper.type == "AmpOptimWrapper"
    assert "optim_wrapper" not in config.stages.b
    assert config.stages.c.optim_wrapper.dtype == "bfloat16"


def test_wrappers_of_another_kind_are_left_alone():
    config = config_of({"a": {"optim_wrapper": {"type": "ApexOptimWrapper", **SGD}}})
    with pytest.raises(LussError, match=r"stages\.a\.optim_wrapper has type 'ApexOptimWrapper'"):
        use_mixed_precision(config)


def test_rates_are_scaled_by_what_the_stage_or_the_config_says():
    stages = {
        "a": {"optim_wrapper": SGD},
        "b": {"optim_wrapper": SGD, "auto_scale_lr": {"base_batch_size": 8}},
    }
    config = config_of(stages, auto_scale_lr={"base_batch_size": 256})
    scale_learning_rates(config)
    assert config.auto_scale_lr == {"base_batch_size": 256, "enable": True}
    assert config.stages.b.auto_scale_lr == {"base_batch_size": 8, "enable": True}
    stages = {**stages, "c": {"optim_wrapper": SGD}}
    with pytest.raises(LussError, match=r"stage 'a' .* auto_scale_lr=dict"):
        scale_learning_rates(config_of(stages))


@pytest.mark.parametrize("switch", [use_mixed_precision, scale_learning_rates])
def test_nothing_trains(switch):
    with pytest.raises(LussError, match="no stage of this config trains"):
        switch(config_of({"evaluate": {"type": "Test"}}))
