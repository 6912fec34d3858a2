"""The schedules of the configs, built as the pipeline builds them, give the released curves."""

from pathlib import Path

import numpy as np
import pytest
from described import all_rates, built, write_root

from luss.configuration import read_config
from luss.pipeline.resolving import resolved_stage

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("split_root"))


@pytest.fixture
def rates(root, tmp_path):
    """Function from a stage of a config to its rates (iterations, groups)."""

    def run(config, stage, options):
        options = {f"stages.{stage}.{key}": value for key, value in options.items()}
        config = read_config(CONFIGS / config, options)
        with built(config, root, tmp_path) as (pipeline, context):
            runner = resolved_stage(pipeline.stages[stage], context).build_runner(context)
            runner._train_loop = runner.build_train_loop(runner._train_loop)
            runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
            return all_rates(runner)

    return run


@pytest.fixture
def case(golden):
    """Function from a number to the settings of a golden curve and the curve itself."""
    arrays = golden("lr_schedule.npz")
    assert int(arrays["ncases"]) == 4

    def read(number):
        names = ("iters_per_epoch", "epochs", "warmup_epochs", "base_lr", "final_lr")
        settings = {
            name: arrays[f"case{number}_{name}"].item() for name in (*names, "start_warmup")
        }
        return settings, arrays[f"case{number}_lr"]

    return read


def epochs_of(count: int) -> dict:
    """Options for epochs of this many iterations."""
    return {"train_dataloader.batch_size": 1, "train_dataloader.dataset.indices": count}


@pytest.mark.parametrize(
    ("number", "stage", "options"),
    [(0, "finetune", {"train_cfg.max_epochs": 2}), (1, "pixel_attention", {})],
)
def test_the_cosine_of_lars(case, rates, number, stage, options):
    """Base rate, end and (in step 2.1) epochs are the config's own."""
    settings, expected = case(number)
    assert settings["warmup_epochs"] == 0
    options = {**options, **epochs_of(settings["iters_per_epoch"])}
    found = rates("pass/pass_s_in50.py", stage, options)
    np.testing.assert_allclose(found[:, 0], expected, rtol=0, atol=1e-9 * settings["base_lr"])


@pytest.mark.parametrize("number", [2, 3])
def test_the_warm_up_of_adamw(case, rates, number):
    """The golden curves have other numbers; how the config wires its schedulers is looked at."""
    settings, expected = case(number)
    base, warm = settings["base_lr"], settings["warmup_epochs"]
    assert warm > 0
    found = rates(
        "semi_supervised/pass_s_in50_adamw.py",
        "finetune_semi",
        {
            "optim_wrapper.optimizer.lr": base,
            "train_cfg.max_epochs": settings["epochs"],
            # LinearLR cannot start at 0.
            "param_scheduler.0.start_factor": max(settings["start_warmup"] / base, 1e-12),
            "param_scheduler.0.end": warm,
            "param_scheduler.1.begin": warm,
            "param_scheduler.1.eta_min_ratio": settings["final_lr"] / base,
            **epochs_of(settings["iters_per_epoch"]),
        },
    )
    # The head's; the layers below have it in proportion.
    np.testing.assert_allclose(found[:, -1], expected, rtol=0, atol=1e-9 * base)
