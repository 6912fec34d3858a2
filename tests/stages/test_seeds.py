"""The seed of a run, or of a stage, reaches all that draws."""

import pytest
from tiny_run import read_tiny

from luss.pipeline import Pipeline


def runner_and_context(tmp_path, **options):
    pipeline = Pipeline(read_tiny(**options), str(tmp_path / "run"))
    with pipeline.opened() as context:
        return (
            pipeline,
            context.resolved(pipeline.stages["pretrain"]).build_runner(context),
            context,
        )


@pytest.mark.parametrize("seed", [0, 3, 31])
def test_the_seed_of_a_run(tmp_path, seed):
    _, runner, context = runner_and_context(tmp_path, seed=seed)
    assert runner.seed == seed
    assert context.dataset({"split": "train"}).seed == seed
    assert context.dataset({"split": "train", "seed": 8}).seed == 8
    stage = context.resolved(context.stages["label_generation"])
    assert stage.runner_config(context)["randomness"]["seed"] == seed


def test_the_seed_of_a_stage_is_its_runners(tmp_path):
    _, runner, context = runner_and_context(tmp_path, seed=3, stages__pretrain__seed=31)
    assert runner.seed == 31
    assert context.dataset({"split": "train"}).seed == 3
