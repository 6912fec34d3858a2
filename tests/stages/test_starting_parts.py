"""Step 1 without a clustering loss, and what a wrong ``init`` says."""

import pytest
from tiny_run import read_tiny

from luss.engine.checkpoint import latest_checkpoint, load
from luss.errors import LussError
from luss.pipeline import Pipeline
from luss.pipeline.resolving import resolved_stage

P2P_ALONE = {
    "stages__pretrain__model__objectives": {
        "_delete_": True,
        "p2p": {"type": "P2P", "hidden_channels": 16},
    },
    "stages__pretrain__model__loss_weights": {"_delete_": True, "loss_p2p": 1.0},
    "stages__pretrain__custom_hooks": [],
}
INIT = "stages__pixel_attention__init"
PRETRAINED = "${pretrain.checkpoint}"


def check(work_dir, stage="pixel_attention", **options):
    """The configuration of a stage's model, once it is checked."""
    pipeline = Pipeline(read_tiny(**options), str(work_dir))
    with pipeline.opened() as context:
        pipeline.check(pipeline.stages[stage], context, made=["pretrain"])
        return resolved_stage(pipeline.stages[stage], context).model_config(context)


def test_pixel_attention_trains_what_step_1_has_not(tmp_path):
    """With the ``init`` of the base config: the backbone is copied, M_I is learnt."""
    pipeline = Pipeline(read_tiny(**P2P_ALONE), str(tmp_path))
    pipeline.run("pretrain")
    pipeline.run("pixel_attention")
    assert "projector starts from random weights" in (tmp_path / "run.log").read_text()
    step1 = load(latest_checkpoint(tmp_path / "pretrain"))["state_dict"]
    trained = load(latest_checkpoint(tmp_path / "pixel_attention"))
    name = "backbone.layer4.0.conv1.weight"
    assert trained["state_dict"][name].equal(step1[name])
    with pipeline.opened(resume=True) as context:
        config = resolved_stage(pipeline.stages["pixel_attention"], context).model_config(context)
        assert config["frozen"] == ["backbone"]
    # Of the tensors that were trained, one is the first layer of M_I.
    learnt = trained["optimizer"]["state"].values()
    assert (16, 64) in {tuple(entry["momentum_buffer"].shape) for entry in learnt}


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ({"type": "ClusteringHook"}, "ClusteringHook: the model has no Clustering objective"),
        ({"type": "CollapseHook"}, "CollapseHook: the model has no Clustering objective"),
        ({"type": "DenseCLHook"}, "DenseCLHook: the model is a PixelAttentionTrainer"),
        ({"type": "SwAVHook", "queue_length": 1}, "SwAVHook: the queue holds 1 embeddings"),
    ],
)
def test_hooks_of_another_method_are_rejected_before_anything_runs(tmp_path, hook, message):
    """Those that a child config inherits, in a later stage, and beside a hook of a project."""
    hooks = {"stages__pixel_attention__custom_hooks": [{"type": "FaultHook"}, hook]}
    if hook["type"] in ("ClusteringHook", "CollapseHook"):
        hooks = {**P2P_ALONE, "stages__pretrain__custom_hooks": [{"type": "FaultHook"}, hook]}
    with pytest.raises(LussError, match=message):
        Pipeline(read_tiny(**hooks), str(tmp_path)).run()
    assert not (tmp_path / "pretrain").exists()


def test_with_a_clustering_loss_its_projector_is_frozen(tmp_path):
    frozen = check(tmp_path)["frozen"]
    assert frozen == ["backbone", "objectives.clustering.projector"]


def renamed():
    """The clustering objective of step 1 under another name."""
    objectives = read_tiny().stages.pretrain.model.objectives.to_dict()
    renamed = {"swav" if k == "clustering" else k: v for k, v in objectives.items()}
    return {
        "stages__pretrain__model__objectives": {"_delete_": True, **renamed},
        "stages__pretrain__model__loss_weights": {"_delete_": True},
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (renamed(), r"trains such an objective as objectives\.swav"),
        (
            {INIT: {"backbon": "${pretrain.checkpoint}"}},
            r"'backbon', but its model has no such part; it has attention",
        ),
        (
            {**P2P_ALONE, INIT: {"attention": PRETRAINED}},
            r"only backbone, objectives\.p2p",
        ),
        (
            {"stages__pretrain__model__backbone__depth": 34},
            r"only there: backbone\.layer1\.2.*give them the same settings",
        ),
    ],
)
def test_the_cause_is_named(tmp_path, options, message):
    with pytest.raises(LussError, match=message) as raised:
        check(tmp_path, **options)
    assert "out_indices" not in str(raised.value)


def test_norms_of_other_outputs(tmp_path):
    swin = {
        "_delete_": True,
        "type": "mmcls.SwinTransformer",
        "arch": {"embed_dims": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2]},
        "img_size": 32,
        "window_size": 2,
    }
    options = {
        "stages__pretrain__model__backbone": {**swin, "out_indices": (2, 3)},
        "stages__pixel_attention__model__backbone": {**swin, "out_indices": (3,)},
    }
    with pytest.raises(LussError, match=r"only there: backbone\.norm2.*same out_indices"):
        check(tmp_path, **options)
