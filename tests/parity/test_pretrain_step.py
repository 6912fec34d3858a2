"""A whole pretraining step of the released ResNet-18 model: losses, gradients, LARS."""

import pytest
import torch
from mmengine.registry import DefaultScope
from tolerance import assert_close

from luss.engine.checkpoint import load
from luss.engine.convert_checkpoint import convert_checkpoint
from luss.engine.optimizers import LARS
from luss.models import PASSPretrainer
from luss.models.backbones.layouts import PASS_PARTS
from luss.models.objectives.p2p import p2p_loss


def our_name(name: str) -> str:
    """Where the converter puts a tensor of the released network."""
    for theirs, ours in PASS_PARTS:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return f"backbone.{name}"


@pytest.fixture(scope="module")
def arrays(golden):
    return golden("pretrain_step.npz")


@pytest.fixture(scope="module")
def stepped(arrays, golden_path, tmp_path_factory):
    """The model after forward, backward and before the optimizer, and what it gave."""
    path = tmp_path_factory.mktemp("converted") / "pretrained.pth"
    convert_checkpoint(golden_path("pretrain_step_weights.pt"), path, to="luss", kind="pretrained")
    weights = load(path)["state_dict"]
    hidden = weights["objectives.clustering.projector.0.weight"].shape[0]
    num_prototypes, embedding = weights["objectives.clustering.prototypes.weight"].shape
    shared = {"hidden_channels": hidden, "embedding_channels": embedding}
    with DefaultScope.overwrite_default_scope("luss"):
        model = PASSPretrainer(
            backbone={"type": "mmselfsup.ResNet", "depth": 18, "out_indices": (3, 4)},
            stages=(3, 4),
            objectives={
                "clustering": {
                    "type": "Clustering",
                    "in_channels": 512,
                    "num_prototypes": num_prototypes,
                    **shared,
                },
                "d2s": {"type": "D2S", "in_channels": {3: 256}, **shared},
                "p2p": {"type": "P2P", "in_channels": 512, **shared},
            },
            loss_weights={"loss_clustering": 0.5, "loss_d2s_stage3": 0.5},
        )
    result = model.load_state_dict(weights, strict=False)
    assert result.missing_keys == ["objectives.clustering.queue"]
    assert not result.unexpected_keys
    model.train()

    inputs = [
        *torch.from_numpy(arrays["inputs_large"]),
        *torch.from_numpy(arrays["inputs_small"]),
    ]
    views = model.view_features(inputs, torch.zeros(len(inputs[0]), 2, 5))
    clustering, d2s, p2p = (model.objectives[name] for name in ("clustering", "d2s", "p2p"))
    given = {"embedding": clustering.embed_checked(views.pooled(), views.batch_size)}
    given["output"] = clustering.prototypes(given["embedding"])
    given["loss_clustering"] = clustering.loss(given["embedding"], views)
    given["loss_d2s_stage3"] = d2s(views)["stage3"]
    grid = torch.cat([torch.from_numpy(arrays[name]) for name in ("grid_q", "grid_k")])
    given["pixel_z"], given["pixel_p"] = p2p.align(views.large(4), grid)
    shape = (2, views.batch_size)
    given["loss_p2p"] = p2p_loss(
        given["pixel_p"].unflatten(0, shape), given["pixel_z"].unflatten(0, shape)
    )
    losses = {name: value for name, value in given.items() if name.startswith("loss")}
    given["total"], _ = model.parse_losses(losses)
    given["codes"] = views.assignment.codes
    given["total"].backward()
    return model, given


def test_forward(arrays, stepped):
    model, given = stepped
    crops = len(given["embedding"])
    assert_close(given["embedding"], arrays["embedding"][:crops])
    assert_close(given["output"], arrays["output"][:crops])
    assert_close(given["codes"], arrays["labels"])
    assert_close(given["pixel_z"], arrays["embedding_deep_pixel"])
    assert_close(given["pixel_p"], arrays["output_deep_pixel"])
    for ours, theirs in {
        "loss_clustering": "loss_swav",
        "loss_d2s_stage3": "loss_d2s",
        "loss_p2p": "loss_p2p",
        "total": "loss_total",
    }.items():
        assert_close(given[ours], arrays[theirs])
    state = model.state_dict()
    for key, expected in arrays.items():
        if key.startswith("running::"):
            assert_close(state[our_name(key.removeprefix("running::"))], expected)


def test_gradients(arrays, stepped):
    model, _ = stepped
    gradients = {name: param.grad for name, param in model.named_parameters()}
    names = [our_name(name) for name in arrays["grad_norm_names"]]
    assert sorted(names) == sorted(gradients)
    for name, expected in zip(names, arrays["grad_norm_values"], strict=True):
        # A bias before a BN has no influence: its gradient is rounding, compared absolutely.
        before_bn = name.endswith(("projector.0.bias", "projector.3.bias"))
        assert_close(gradients[name].norm(), expected, absolute=1e-6 if before_bn else 1e-12)
    for key, expected in arrays.items():
        if key.startswith("grad::"):
            assert_close(gradients[our_name(key.removeprefix("grad::"))], expected)


def test_lars_step(arrays, stepped):
    model, _ = stepped
    LARS(model.parameters(), lr=0.6, momentum=0.9, weight_decay=1e-6).step()
    params = dict(model.named_parameters())
    for key, expected in arrays.items():
        if key.startswith("after_larc_step::"):
            assert_close(params[our_name(key.removeprefix("after_larc_step::"))], expected)


def test_the_released_weights_come_back_from_ours(golden_path, tmp_path):
    released = torch.load(golden_path("pretrain_step_weights.pt"), weights_only=True)
    for source, out, to in (
        (golden_path("pretrain_step_weights.pt"), tmp_path / "ours.pth", "luss"),
        (tmp_path / "ours.pth", tmp_path / "back.pth", "authors"),
    ):
        convert_checkpoint(source, out, to=to, kind="pretrained")
    back = load(tmp_path / "back.pth")["state_dict"]
    assert back.keys() == {f"module.{name}" for name in released}
    assert all(torch.equal(back[f"module.{name}"], value) for name, value in released.items())
