import math

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from small_pretrainer import CHANNELS, batch, build

from luss.engine.optimizers import LARS
from luss.errors import LussError
from luss.models import PASSPretrainer
from luss.models.pretrainers.pass_pretrainer import weighted_total


@pytest.mark.parametrize("shallow", [(), (3,), (3, 2), (1, 2, 3)])
def test_losses_of_any_set_of_stages(shallow):
    model = build(shallow)
    losses = model(**batch(4), mode="loss")
    d2s = [f"loss_d2s_stage{stage}" for stage in shallow]
    assert list(losses) == ["loss_clustering", *d2s, "loss_p2p"]
    total, logged = model.parse_losses(losses)
    torch.testing.assert_close(total, sum(losses.values()))
    assert logged.keys() == {"loss", *losses}
    total.backward()
    for name, param in model.named_parameters():
        assert param.grad is not None, name
        assert param.grad.isfinite().all(), name


@pytest.mark.parametrize(("large", "small", "forwards"), [(2, 0, 1), (2, 3, 2)])
def test_the_backbone_runs_once_for_each_resolution(large, small, forwards):
    model = build()
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    model(**batch(4, large, small), mode="loss")
    assert len(seen) == forwards
    assert seen == [(4 * large, 3, 64, 64), (4 * small, 3, 32, 32)][:forwards]


def test_views_keep_their_order():
    model = build().eval()
    data = batch(3, large=2, small=3)
    views = model.view_features(**data)
    alone = [model.extract(images)[4].mean(dim=(2, 3)) for images in data["inputs"]]
    torch.testing.assert_close(views.pooled(), torch.cat(alone), rtol=1e-4, atol=1e-5)
    assert views.batch_size == 3
    for view, geometry in enumerate(views.geometry):
        assert torch.equal(geometry.rectangles, data["geometry"][:, view, :4])


def test_d2s_and_clustering_share_codes_and_prototypes():
    model = build()
    views = model.view_features(**batch(4))
    model.objectives["clustering"](views)
    weight = model.objectives["clustering"].prototypes.weight
    assert views.assignment.prototypes.data_ptr() == weight.data_ptr()
    assert views.assignment.codes.shape == (2, 4, 10)
    assert not views.assignment.codes.requires_grad


def test_features_of_images():
    features = build((1, 2, 3))(torch.randn(2, 3, 64, 64))
    assert {stage: tuple(map_.shape) for stage, map_ in features.items()} == {
        stage: (2, CHANNELS[stage], 32 // 2**stage, 32 // 2**stage) for stage in (1, 2, 3, 4)
    }


def test_some_steps_lower_the_loss():
    """One batch can be learnt by heart: the sum of all losses falls."""
    model = build()
    optimizer = OptimWrapper(LARS(model.parameters(), lr=2.0, trust_coefficient=0.01))
    data = batch(8)
    totals = []
    for _ in range(12):
        total, _ = model.parse_losses(model(**data, mode="loss"))
        optimizer.update_params(total)
        totals.append(total.item())
    assert totals[-1] < totals[0] - 0.3
    assert all(math.isfinite(total) for total in totals)


def test_the_whole_step_in_half_precision():
    """Losses come in float32 and near those of float32; all gradients are finite."""
    model, data = build(), batch(6)
    expected = model(**data, mode="loss")
    model = build()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(**data, mode="loss")
        total, _ = model.parse_losses(losses)
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(expected[name].item(), abs=0.2)
    total.backward()
    for name, param in model.named_parameters():
        assert param.grad.isfinite().all(), name


# Weights


def test_weights_of_losses():
    losses = {"a": torch.tensor(2.0), "b": torch.tensor(3.0)}
    total, logged = weighted_total(losses, {"a": 0.5})
    assert total == 4
    assert logged == {"loss": 4, "a": 2, "b": 3}


def test_an_added_stage_weighs_as_the_others_of_its_objective():
    losses = {
        "loss_d2s_stage3": torch.tensor(2.0),
        "loss_d2s_stage2": torch.tensor(10.0),
        "loss_d2sx": torch.tensor(100.0),
    }
    total, _ = weighted_total(losses, {"loss_d2s": 0.5}, ["d2s"])
    assert total == 0.5 * 2 + 0.5 * 10 + 100
    total, _ = weighted_total(losses, {"loss_d2s": 0.5}, ["d2s", "d2s_stage2"])
    assert total == 0.5 * 2 + 10 + 100
    total, _ = weighted_total(losses, {"loss_d2s": 0.5, "loss_d2s_stage2": 2.0}, ["d2s"])
    assert total == 0.5 * 2 + 2 * 10 + 100


def test_a_weight_without_a_loss_is_rejected():
    with pytest.raises(LussError, match=r"\['c'\].*\['a', 'b'\]"):
        weighted_total({"a": torch.tensor(2.0), "b": torch.tensor(3.0)}, {"c": 1.0})


# Errors


def test_stages_that_do_not_fit_the_backbone():
    with (
        DefaultScope.overwrite_default_scope("luss"),
        pytest.raises(LussError, match="returns 1: 64 channels at stride 32"),
    ):
        PASSPretrainer(
            backbone={"type": "mmselfsup.ResNet", "depth": 18, "base_channels": 8},
            stages=(3, 4),
            objectives={},
        )


@pytest.mark.parametrize("order", [["d2s", "clustering"], ["p2p", "d2s"]])
def test_codes_that_no_objective_before_gives(order):
    backbone = {"type": "mmselfsup.ResNet", "depth": 18, "out_indices": (3, 4)}
    widths = {"hidden_channels": 4, "embedding_channels": 4}
    configs = {
        "clustering": {"type": "Clustering", "in_channels": 512, "num_prototypes": 3, **widths},
        "d2s": {"type": "D2S", "in_channels": {3: 256}, **widths},
        "p2p": {"type": "P2P", "in_channels": 512, **widths},
    }
    objectives = {name: configs[name] for name in order}
    with pytest.raises(LussError, match=r"objectives\.d2s .*list a Clustering objective before it"):
        PASSPretrainer(backbone, objectives, stages=(3, 4))


def test_one_large_crop():
    with pytest.raises(LussError, match="two large crops"):
        build()(**batch(4, large=1), mode="loss")


def test_an_unknown_mode():
    with pytest.raises(ValueError, match="'loss' or 'tensor'"):
        build()(torch.randn(1, 3, 32, 32), mode="predict")
