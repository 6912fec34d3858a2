"""Stages that train: their seeds, epochs and starting weights."""

import pytest
import torch
from tiny_run import read_tiny

from luss.errors import LussError
from luss.pipeline import Pipeline
from luss.pipeline.resolving import resolved_stage, stages_of
from luss.registry import MODELS


def runner_and_context(tmp_path, **options):
    pipeline = Pipeline(read_tiny(**options), str(tmp_path / "run"))
    with pipeline.opened() as context:
        return (
            pipeline,
            resolved_stage(pipeline.stages["pretrain"], context).build_runner(context),
            context,
        )


@pytest.mark.parametrize("seed", [0, 3, 31])
def test_the_seed_of_a_run(tmp_path, seed):
    _, runner, context = runner_and_context(tmp_path, seed=seed)
    assert runner.seed == seed
    assert context.dataset({"split": "train"}).seed == seed
    assert context.dataset({"split": "train", "seed": 8}).seed == 8
    stage = resolved_stage(stages_of(context)["label_generation"], context)
    assert stage.runner_config(context)["randomness"]["seed"] == seed


def test_the_seed_of_a_stage_is_its_runners(tmp_path):
    _, runner, context = runner_and_context(tmp_path, seed=3, stages__pretrain__seed=31)
    assert runner.seed == 31
    assert context.dataset({"split": "train"}).seed == 3


def test_the_sampler_knows_the_last_epoch(tmp_path):
    config = read_tiny(stages__pretrain__train_cfg__max_epochs=2)
    pipeline = Pipeline(config, str(tmp_path / "run"))
    with pipeline.opened() as context:
        runner = resolved_stage(pipeline.stages["pretrain"], context).build_runner(context)
        runner.train()
        assert runner.train_dataloader.sampler.epoch == 1


def test_a_stage_that_trains_may_start_from_a_file(tmp_path):
    config = read_tiny(stages__pretrain__train_cfg__max_epochs=1)
    backbone = MODELS.build(dict(config.stages.pretrain.model.backbone))
    state = {f"module.encoder_q.{name}": value for name, value in backbone.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "moco.pth")
    config.stages.pretrain.weights = {"file": str(tmp_path / "moco.pth"), "layout": "moco"}
    config.stages.pretrain.optim_wrapper.optimizer.lr = 1e-9
    Pipeline(config, str(tmp_path / "run")).run("pretrain")
    (path,) = (tmp_path / "run" / "pretrain").glob("iter_*.pth")
    trained = torch.load(path, weights_only=True)["state_dict"]
    torch.testing.assert_close(trained["backbone.conv1.weight"], backbone.conv1.weight.detach())


def test_an_unknown_setting_is_named_when_the_stages_are_built(tmp_path):
    config = read_tiny(stages__finetune__train_dataloder={})
    message = r"finetune\.train_dataloder .*mean 'train_dataloader'.* init, param_scheduler, seed"
    with pytest.raises(LussError, match=message):
        Pipeline(config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
