"""Models of an algorithm with objectives, and errors of invalid configs."""

import copy

import pytest
import torch
from mmselfsup.engine.hooks import DenseCLHook
from mmselfsup.models import DenseCL, SimSiam
from small_algorithms import (
    ALGORITHMS,
    OBJECTIVES,
    RESNET,
    WIDTHS,
    batch,
    build,
    model_config,
    objective_configs,
)

from luss.errors import LussError
from luss.models import Objective, ViewPreprocessor
from luss.models.backbones import probe
from luss.registry import MODELS


class Shallow(Objective):
    """Reads the first view's third stage, and says which views it was handed."""

    num_views = 1

    def forward(self, views):
        Shallow.sizes = [
            {stage: len(maps) for stage, maps in group.items()} for group in views.groups
        ]
        return {"mean": views.groups[0][3].mean()}


def test_the_model_is_the_algorithm():
    model = build("DenseCL", ("p2p",))
    assert isinstance(model, DenseCL)
    names = {name.split(".")[0] for name in model.state_dict()}
    own = {"backbone", "neck", "encoder_k", "queue", "queue_ptr", "queue2", "queue2_ptr"}
    assert names == own | {"objectives"}
    assert isinstance(model.data_preprocessor, ViewPreprocessor)
    DenseCLHook(start_iters=5).before_train(type("Runner", (), {"model": model}))


def test_an_objective_of_ones_own_gets_the_views_that_it_asks_for():
    config = model_config("DenseCL", ("clustering", "d2s"))
    model = MODELS.build({**config, "objectives": {"own": {"type": Shallow}}})
    losses = model(**batch(), mode="loss")
    assert set(losses) == {"loss_single", "loss_dense", "loss_own_mean"}
    assert Shallow.sizes == [{3: 4, 4: 4}]


@pytest.mark.parametrize("name", ["SimSiam", "MoCo v3"])
def test_pixpro_copies_the_backbone_as_it_is_watched(name):
    """Its keys are of the deepest map, also where the algorithm sees one output of several."""
    model = build(name, ("clustering", "d2s", "pixpro"))
    pixpro = model.objectives["pixpro"]
    maps = []
    pixpro.momentum_encoder.module.projector.register_forward_pre_hook(
        lambda _, inputs: maps.append(inputs[0])
    )
    data = batch(small=1)
    losses = model(**data, mode="loss")
    model.parse_losses(losses)[0].backward()
    assert losses["loss_pixpro"].isfinite()
    assert pixpro.projector[0].weight.grad.norm() > 0
    expected = model.tap.maps(torch.cat(data["inputs"][:2]))[-1]
    torch.testing.assert_close(maps[0], expected)


def test_small_crops_can_be_for_the_objectives_alone():
    data = batch(small=2)
    model = build("SimCLR", ("clustering",), num_views=2)
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    assert model(**data, mode="loss").keys() == {"loss", "loss_clustering"}
    # Two large ones together, then two small ones.
    assert seen == [8, 8]


def test_several_resolutions_in_one_algorithm():
    """SwAV runs all crops of a resolution together; none is run again."""
    config = model_config("SwAV", OBJECTIVES["both"])
    algorithm = copy.deepcopy(config["algorithm"])
    algorithm["head"]["loss"]["num_crops"] = [2, 3]
    model = MODELS.build({**config, "algorithm": algorithm})
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    losses = model(**batch(small=3), mode="loss")
    assert seen == [8, 12]
    model.parse_losses(losses)[0].backward()


@pytest.mark.parametrize("name", ["SimCLR", "MoCo v2", "SwAV"])
def test_several_outputs_without_objectives(name):
    config = model_config(name)
    losses = []
    for outputs in ((4,), (3, 4)):
        torch.manual_seed(0)
        backbone = {**RESNET, "out_indices": outputs}
        model = MODELS.build({**config, "backbone": backbone, "stages": outputs})
        losses.append(model(**batch(), mode="loss")["loss"])
    assert torch.equal(*losses)


def test_data_samples_reach_the_algorithm():
    class Weighted(SimSiam):
        def loss(self, inputs, data_samples):
            return {"loss": super().loss(inputs, data_samples)["loss"] * data_samples[1]}

    config = model_config("SimSiam", ("p2p",))
    config["algorithm"] = {**config["algorithm"], "type": Weighted, "_scope_": "mmselfsup"}
    model = MODELS.build(config)
    data = batch()
    plain = model(**data, data_samples=[0, 1], mode="loss")
    doubled = model(**data, data_samples=[0, 2], mode="loss")
    assert torch.equal(doubled["loss"], 2 * plain["loss"])


def test_weights_and_names_of_losses():
    model = build(
        "SimSiam", OBJECTIVES["both"], loss_weights={"loss_p2p": 0.25, "loss_d2s_stage3": 2}
    )
    losses = model(**batch(), mode="loss")
    total, logged = model.parse_losses(losses)
    expected = (
        losses["loss"]
        + 0.25 * losses["loss_p2p"]
        + losses["loss_clustering"]
        + 2 * losses["loss_d2s_stage3"]
    )
    torch.testing.assert_close(total, expected)
    assert torch.equal(logged.pop("loss"), total)
    assert torch.equal(logged.pop("loss_algorithm"), losses.pop("loss"))
    assert logged == losses


def test_a_copy_has_a_tap_of_its_own():
    """As EMAHook copies models."""
    model = build("MoCo v2", ("p2p",))
    twin = copy.deepcopy(model)
    data = batch()
    torch.manual_seed(0)
    expected = model(**data, mode="loss")
    torch.manual_seed(0)
    losses = twin(**data, mode="loss")
    assert {key: loss.item() for key, loss in losses.items()} == {
        key: loss.item() for key, loss in expected.items()
    }
    assert twin.tap is not model.tap


@pytest.mark.parametrize(
    "backbone",
    [
        {
            "type": "mmcls.SwinTransformer",
            "arch": {"embed_dims": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8]},
            "out_indices": (2, 3),
            "window_size": 2,
        },
        {
            "type": "mmcls.ConvNeXt",
            "arch": {"depths": [1, 1, 1, 1], "channels": [16, 32, 64, 128]},
            "out_indices": (2, 3),
            "gap_before_final_norm": False,
        },
    ],
    ids=lambda backbone: backbone["type"],
)
def test_densecl_on_other_backbones(backbone):
    neck = {**ALGORITHMS["DenseCL"].config["neck"], "in_channels": 128}
    config = {
        **model_config("DenseCL"),
        "algorithm": {**ALGORITHMS["DenseCL"].config, "neck": neck},
        "backbone": backbone,
        "stages": (3, 4),
        "objectives": objective_configs(OBJECTIVES["both"], {3: 64, 4: 128}),
    }
    model = MODELS.build(config)
    torch.manual_seed(0)
    data = {"inputs": [torch.randn(4, 3, 64, 64) for _ in range(2)]}
    data["geometry"] = batch()["geometry"]
    losses = model(**data, mode="loss")
    model.parse_losses(losses)[0].backward()
    assert all(param.grad is not None for param in model.backbone.parameters())


def test_trying_the_backbone_leaves_no_trace():
    model = build("MoCo v2", ("p2p",))
    before = copy.deepcopy(model.state_dict())
    random_state = torch.get_rng_state()
    assert [info.channels for info in probe(model.backbone, run=model.tap.maps)] == [64]
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(part.training for part in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


# ---- what is rejected ----------------------------------------------------------------------------


def rejected(match, name="DenseCL", objectives=("p2p",), algorithm=None, **settings):
    names = () if isinstance(objectives, dict) else objectives
    config = {**model_config(name, names), **settings}
    if isinstance(objectives, dict):
        config["objectives"] = objectives
    config["algorithm"] = {**config["algorithm"], **(algorithm or {})}
    with pytest.raises(LussError, match=match):
        MODELS.build(config)


@pytest.mark.parametrize("name", [name for name, entry in ALGORITHMS.items() if not entry.maps])
@pytest.mark.parametrize("objectives", [("p2p",), ("clustering", "d2s")])
def test_objectives_on_masked_images(name, objectives):
    rejected(
        "MAEViT: .*some are missing.*Objectives read a feature map .*remove",
        name,
        objectives,
        stages=(3, 4),
    )


def test_a_backbone_that_takes_masks():
    rejected(
        "DenseCL: the backbone SimMIMSwinTransformer accepts no image.*mask.*remove",
        backbone={"type": "mmselfsup.SimMIMSwinTransformer", "arch": "T", "img_size": 64},
    )


def test_codes_that_nobody_gives():
    rejected(
        r"objectives\.d2s \(D2S\) needs codes.*Clustering objective before", "DenseCL", ("d2s",)
    )
    rejected(r"objectives\.d2s \(D2S\) needs codes", "SimCLR", ("d2s", "clustering"))


def test_channels_and_stages_that_do_not_fit():
    rejected(
        "p2p has in_channels=63, but the backbone returns 64",
        objectives={"p2p": {"type": "P2P", "in_channels": 63, "hidden_channels": 8}},
    )
    wider = objective_configs(("clustering", "d2s"), WIDTHS)
    rejected("d2s reads stage 3, but the backbone returns stage 4 of 64", objectives=wider)
    rejected(r"stages=\(3, 4\), .* returns 1: \d+ channels", stages=(3, 4))
    rejected("increasing order", stages=(4, 3))


def test_a_backbone_that_pools():
    rejected(
        r"returns \(1, 768\), expected a feature map",
        backbone={"type": "mmcls.ConvNeXt", "arch": "tiny"},
    )


def test_settings_in_the_wrong_place():
    rejected("move 'backbone' out of 'algorithm'", algorithm={"backbone": RESNET})
    rejected("move 'data_preprocessor' out", algorithm={"data_preprocessor": {}})
    rejected("model 'mmselfsup.DenceCL'", algorithm={"type": "mmselfsup.DenceCL"})
    rejected("loss_weights .*'loss_dense'", loss_weights={"loss_dense": 1.0})
    rejected(
        "objectives.p2p is a Conv2d",
        objectives={
            "p2p": {"type": torch.nn.Conv2d, "in_channels": 1, "out_channels": 1, "kernel_size": 1}
        },
    )


def test_misspelt_settings():
    for name, settings, message in [
        ("", {"objectivs": {}}, r"AlgorithmWithObjectives has no setting 'objectivs'; did you mean "
         r"'objectives'\? Known are: algorithm, backbone, objectives.*into 'algorithm'"),
        ("algorithm", {"queue_length": 12}, r"algorithm: DenseCL has no setting 'queue_length'; "
         r"did you mean 'queue_len'\? Known are: backbone, neck, .*loss_lambda"),
        ("neck", {"hidden_channels": 2}, r"algorithm\.neck: DenseCLNeck has no setting "
         r"'hidden_channels'; did you mean 'hid_channels'"),
        ("loss", {"weight": 2}, r"algorithm\.head\.loss: CrossEntropyLoss has no setting 'weight'"),
        ("p2p", {"gridsize": 2}, r"objectives\.p2p: P2P has no setting 'gridsize'; did you mean "
         "'grid_size'"),
        ("backbone", {"detph": 18}, r"backbone: ResNet has no setting 'detph'; did you "
         "mean 'depth'"),
    ]:  # fmt: skip
        config = copy.deepcopy(model_config("DenseCL", ("p2p",)))
        algorithm = config["algorithm"]
        places = {
            "": config,
            "algorithm": algorithm,
            "neck": algorithm["neck"],
            "loss": algorithm["head"]["loss"],
            "p2p": config["objectives"]["p2p"],
            "backbone": config["backbone"],
        }
        places[name].update(settings)
        with pytest.raises(LussError, match=message):
            MODELS.build(config)


def test_a_neck_without_widths_has_those_of_the_backbone():
    config = copy.deepcopy(model_config("DenseCL", ("p2p",)))
    config["algorithm"]["neck"].pop("in_channels")
    assert MODELS.build(config).neck.mlp[0].in_features == 64


def test_two_losses_of_one_name():
    objectives = {"dense": objective_configs(("p2p",), WIDTHS)["p2p"]}
    model = MODELS.build({**model_config("DenseCL"), "objectives": objectives})
    with pytest.raises(LussError, match=r"'loss_dense' .* DenseCL .* another name"):
        model(**batch(), mode="loss")


def test_a_queue_that_batches_do_not_fill_evenly():
    config = model_config("DenseCL")
    model = MODELS.build({**config, "algorithm": {**config["algorithm"], "queue_len": 10}})
    with pytest.raises(LussError, match="queue_len=10, expected a multiple of 4"):
        model(**batch(), mode="loss")


def test_no_geometry():
    model = build("SimSiam", ("p2p",))
    with pytest.raises(LussError, match="MultiCrop and PackViews"):
        model(batch()["inputs"], mode="loss")
