"""Protocols found by name in a config."""

import pytest
from tiny_networks import DISTANCE_MATCHING, LOADER, NARROW, PIPELINE, segmentor

from luss.errors import LussError
from luss.pipeline import evaluate, protocols_of
from luss.pipeline.resolving import resolved_stage

PROTOCOLS = ("fully_unsupervised", "distance_matching", "semi_supervised")
TRAIN = {"type": "Train", "model": {"backbone": NARROW}, "train_dataloader": {}}


def evaluation(protocol, **settings):
    return {"type": "Test", "protocol": {"type": protocol}, "test_dataloader": LOADER, **settings}


def test_each_protocol_has_a_stage(make_context):
    stages = {
        "pretrain": TRAIN,
        "first": evaluation("FullyUnsupervised"),
        "second": {**DISTANCE_MATCHING, "weights": "${pretrain.checkpoint}"},
        "third": evaluation("SemiSupervised"),
    }
    found = protocols_of(make_context(stages))
    assert [found[name].name for name in PROTOCOLS] == ["first", "second", "third"]
    assert found["distance_matching"].model["k"] == 5
    assert found["distance_matching"].requires == ("pretrain",)


def test_distance_matching_follows_pretraining_without_an_entry(make_context):
    """Photos are prepared as for the other protocols; of small ones, 256 pixels do not fit."""
    stages = {"pretrain": TRAIN, "evaluate": evaluation("FullyUnsupervised")}
    context = make_context(stages)
    stage = protocols_of(context)["distance_matching"]
    assert (stage.name, stage.source_of("weights")) == ("distance_matching", "pretrain")
    resolved = resolved_stage(stage, context)
    assert resolved.model == {"type": "DistanceMatcher", "backbone": NARROW}
    assert resolved.test_dataloader["dataset"]["pipeline"] == PIPELINE
    own = [*PIPELINE[:2], {"type": "ResizeShortSide", "size": 20}, PIPELINE[3]]
    loader = {**LOADER, "dataset": {"pipeline": own}}
    stages["own"] = {**DISTANCE_MATCHING, "test_dataloader": loader}
    stage = protocols_of(make_context(stages))["distance_matching"]
    assert stage.name == "own"
    assert stage.test_dataloader["dataset"]["pipeline"] == own


def test_unknown_names(make_context):
    context = make_context({"finetune": TRAIN})
    with pytest.raises(LussError, match=r"known are: semi_.*, distance_matching, fully_un"):
        evaluate(context, "nothing")
    for name in PROTOCOLS:
        with pytest.raises(LussError, match=f"no stage with the protocol '{name}'"):
            evaluate(context, name)


def test_photos_without_masks(make_context, demo_root, tmp_path):
    (tmp_path / "photos" / "train").mkdir(parents=True)
    (tmp_path / "photos" / "train" / "a").symlink_to(next((demo_root / "train").iterdir()))
    stages = {
        "finetune": {**TRAIN, "model": segmentor(7)},
        "evaluate": evaluation("FullyUnsupervised", model="${finetune.model}"),
    }
    context = make_context(stages, data_root=str(tmp_path / "photos"))
    with pytest.raises(LussError, match="nothing to compare"):
        evaluate(context)


def test_a_stage_that_does_not_exist(make_context):
    stages = {"evaluate": evaluation("FullyUnsupervised", checkpoint="${tuning.checkpoint}")}
    with pytest.raises(LussError, match=r"\$\{tuning\.checkpoint\}: there is no stage 'tuning'"):
        evaluate(make_context(stages))
