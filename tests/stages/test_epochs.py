"""The sampler of a stage is told each epoch, without which every epoch would be the first."""

from tiny_run import read_tiny

from luss.pipeline import Pipeline


def test_the_sampler_knows_the_last_epoch(tmp_path):
    config = read_tiny(stages__pretrain__train_cfg__max_epochs=2)
    pipeline = Pipeline(config, str(tmp_path / "run"))
    with pipeline.opened() as context:
        runner = context.resolved(pipeline.stages["pretrain"]).build_runner(context)
        runner.train()
        assert runner.train_dataloader.sampler.epoch == 1
