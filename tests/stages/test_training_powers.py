"""Averaged weights, validation, iterations and summed gradients in stages of the tiny config."""

import json

import pytest
import torch
from states import Killed, assert_same, flatten
from tiny_run import read_tiny, run_tiny

from luss.engine.checkpoint import latest_checkpoint, load
from luss.errors import LussError
from luss.pipeline import Pipeline
from luss.pipeline.resolving import resolved_stage

WHOLE_IMAGE = [
    {"type": "LoadRGBImage"},
    {"type": "LoadMask"},
    {"type": "ResizeShortSide", "size": 48},
    {"type": "PackInputs"},
]
VALIDATION = {
    "val_dataloader": {
        "batch_size": 1,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "pseudo_collate"},
        "dataset": {"split": "validation", "pipeline": WHOLE_IMAGE},
    },
    "val_cfg": {},
    "val_evaluator": [{"type": "SegmentationMetric", "matcher": {"type": "ImageLevelMatcher"}}],
}


def validated(stage):
    return {f"stages__{stage}__{key}": value for key, value in VALIDATION.items()}


BEST = {
    **validated("finetune"),
    "stages__finetune__default_hooks": {"checkpoint": {"save_best": "mIoU"}},
}
POWERS = {
    "stages__pretrain__custom_hooks": [
        {"type": "ClusteringHook"},
        {"type": "EMAHook", "momentum": 0.1},
        {"type": "FaultHook"},
    ],
    "stages__pretrain__train_cfg": {
        "_delete_": True,
        "type": "IterBasedTrainLoop",
        "max_iters": 7,
    },
    "stages__pretrain__train_dataloader__sampler": {
        "_delete_": True,
        "type": "InfiniteSampler",
        "shuffle": True,
    },
    "stages__pretrain__default_hooks": {"checkpoint": {"by_epoch": False, "interval": 2}},
    "stages__pretrain__optim_wrapper__accumulative_counts": 2,
    "stages__pretrain__optim_wrapper__clip_grad": {"max_norm": 1.0},
    "stages__pretrain__optim_wrapper__dtype": "bfloat16",
}


def whole(work_dir, stage):
    return dict(flatten(load(latest_checkpoint(work_dir / stage)), "x"))


def training_state(work_dir, stage):
    checkpoint = load(latest_checkpoint(work_dir / stage))
    kept = ("meta", "state_dict", "ema_state_dict", "optimizer", "param_schedulers")
    return flatten({key: checkpoint[key] for key in kept if key in checkpoint}, stage)


def test_all_of_them_at_once_and_a_kill(tmp_path, fault):
    run_tiny(tmp_path / "whole", "pretrain", **POWERS)
    names = sorted(path.name for path in (tmp_path / "whole" / "pretrain").glob("*.pth"))
    assert names == ["iter_6.pth", "iter_7.pth"]

    def plan(runner):
        if runner.iter == 5:
            raise Killed

    fault.plan = plan
    with pytest.raises(Killed):
        run_tiny(tmp_path / "killed", "pretrain", **POWERS)
    fault.plan = None
    assert latest_checkpoint(tmp_path / "killed" / "pretrain").name == "iter_4.pth"
    run_tiny(tmp_path / "killed", "pretrain", resume=True, **POWERS)
    assert_same(
        training_state(tmp_path / "whole", "pretrain"),
        training_state(tmp_path / "killed", "pretrain"),
    )
    # The next stage starts from the averaged weights.
    pipeline = Pipeline(read_tiny(**POWERS), str(tmp_path / "whole"))
    with pipeline.opened() as context:
        runner = resolved_stage(pipeline.stages["pixel_attention"], context).build_runner(context)
        runner._init_model_weights()
        handed_on = load(tmp_path / "whole" / "pretrain" / "iter_7.pth")
        name = "backbone.layer4.0.conv1.weight"
        found = runner.model.state_dict()[name]
        assert torch.equal(found, handed_on["state_dict"][name])
        assert not torch.equal(found, handed_on["ema_state_dict"][f"module.{name}"])


def test_validation_while_a_segmentor_learns(tmp_path, finished_run, fault):
    options = {**BEST, "stages__finetune__custom_hooks": [{"type": "FaultHook"}]}

    def plan(runner):
        # In the second epoch, after its first validation.
        if runner.work_dir.endswith("finetune") and runner.iter == 5:
            raise Killed

    fault.plan = plan
    with pytest.raises(Killed):
        run_tiny(tmp_path, **options)
    fault.plan = None
    run_tiny(tmp_path, resume=True, **options)
    folder = tmp_path / "finetune"
    # Looking on changes nothing of what is learnt, or found.
    assert_same(training_state(finished_run, "finetune"), training_state(tmp_path, "finetune"))
    results = [json.loads((root / "results.json").read_text()) for root in (finished_run, tmp_path)]
    for found in results:
        found.pop("provenance")
    assert results[0] == results[1]
    (best,) = folder.glob("best_mIoU_iter_*.pth")
    scalars = [
        json.loads(line)
        for path in sorted(folder.glob("*/vis_data/scalars.json"))
        for line in path.read_text().splitlines()
    ]
    scores = {path.stem: [line["mIoU"] for line in scalars if "mIoU" in line] for path in [best]}
    # Three epochs; the first validation is made again on resuming.
    assert len(scores[best.stem]) == 4
    info = load(best)["message_hub"]["runtime_info"]
    assert info["best_score"] == max(scores[best.stem])


def test_pretrainers_predict_nothing(tmp_path):
    with pytest.raises(LussError, match=r"stages\.pretrain\.val_dataloader: .*data_samples"):
        run_tiny(tmp_path, **validated("pretrain"))


def test_half_a_validation(tmp_path):
    options = validated("finetune")
    options.pop("stages__finetune__val_cfg")
    with pytest.raises(LussError, match="val_cfg, val_dataloader"):
        run_tiny(tmp_path, **options)


def test_no_validation_to_tell_the_best(tmp_path):
    with pytest.raises(LussError, match=r"save_best .* has no validation"):
        run_tiny(tmp_path, default_hooks__checkpoint__save_best="mIoU")


def test_rates_follow_the_batch_where_that_is_asked_for(tmp_path):
    def rate(**options):
        config = read_tiny(**options)
        pipeline = Pipeline(config, str(tmp_path / str(len(list(tmp_path.iterdir())))))
        with pipeline.opened() as context:
            runner = resolved_stage(pipeline.stages["pretrain"], context).build_runner(context)
            runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
            runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
            return runner.optim_wrapper.get_lr()["lr"]

    (plain,) = rate(auto_scale_lr={"base_batch_size": 256})
    scaled = {"base_batch_size": 256, "enable": True}
    assert rate(auto_scale_lr=scaled) == pytest.approx([plain * 4 / 256])
    own = {"auto_scale_lr": scaled, "stages__pretrain__auto_scale_lr": {"base_batch_size": 8}}
    assert rate(**own) == pytest.approx([plain / 2])
