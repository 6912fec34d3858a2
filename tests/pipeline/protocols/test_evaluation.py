"""Protocols found by name in a config."""

import pytest
from mmengine import Config
from tiny_networks import NARROW, PIPELINE, segmentor

from luss.errors import LussError
from luss.pipeline import build_protocol, evaluate
from luss.stages.protocol_stage import WHOLE_IMAGE

PROTOCOLS = ("fully_unsupervised", "distance_matching", "semi_supervised")
TRAIN = {"type": "TrainStage", "model": {"backbone": NARROW}, "train_dataloader": {}}


def test_each_protocol_has_a_stage():
    stages = {
        "pretrain": TRAIN,
        "first": {"type": "EvaluateStage"},
        "second": {"type": "DistanceMatchingStage", "k": 3},
        "third": {"type": "SemiSupervisedStage"},
    }
    found = {name: build_protocol(Config({"stages": stages}), name) for name in PROTOCOLS}
    assert [stage.name for stage in found.values()] == ["first", "second", "third"]
    assert found["distance_matching"].k == 3
    assert found["distance_matching"].requires == ("pretrain",)


def test_distance_matching_follows_pretraining_without_an_entry():
    stage = build_protocol(Config({"stages": {"pretrain": TRAIN}}), "distance_matching")
    assert (stage.name, stage.model_from, stage.k) == ("distance_matching", "pretrain", 10)


def test_without_an_entry_photos_are_prepared_as_for_the_other_protocols():
    """Features of small photos do not fit the 256 pixels of ImageNet-S."""
    stages = {"pretrain": TRAIN, "evaluate": {"type": "EvaluateStage", "pipeline": PIPELINE}}
    stage = build_protocol(Config({"stages": stages}), "distance_matching")
    assert stage.pipeline == PIPELINE != WHOLE_IMAGE
    stages["own"] = {"type": "DistanceMatchingStage"}
    stage = build_protocol(Config({"stages": stages}), "distance_matching")
    assert stage.pipeline == WHOLE_IMAGE


def test_unknown_names():
    config = Config({"stages": {"finetune": TRAIN}})
    with pytest.raises(LussError, match=r"known are: distance_matching, fully_un.*, semi_"):
        build_protocol(config, "nothing")
    for name in PROTOCOLS:
        with pytest.raises(LussError, match=f"no stage for the protocol '{name}'"):
            build_protocol(config, name)


def test_photos_without_masks(make_context, demo_root, tmp_path):
    (tmp_path / "photos" / "train").mkdir(parents=True)
    (tmp_path / "photos" / "train" / "a").symlink_to(next((demo_root / "train").iterdir()))
    stages = {"finetune": {**TRAIN, "model": segmentor(7)}, "evaluate": {"type": "EvaluateStage"}}
    context = make_context(stages, data_root=str(tmp_path / "photos"))
    with pytest.raises(LussError, match="nothing to compare"):
        evaluate(context)


def test_a_stage_that_does_not_exist(make_context):
    stages = {"evaluate": {"type": "EvaluateStage", "pipeline": PIPELINE, "model_from": "tuning"}}
    with pytest.raises(LussError, match="evaluates what 'tuning' trains"):
        evaluate(make_context(stages))
