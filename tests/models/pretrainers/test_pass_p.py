"""PASS_p: the pretrainer with PixPro beside clustering, D2S32 and P2P."""

import pytest
import torch
from small_pretrainer import batch, build

from luss.engine.optimizers import LARS
from luss.engine.optimizers.lars_groups import LARSOptimWrapperConstructor

LOSSES = ["loss_clustering", "loss_d2s_stage3", "loss_d2s_stage2", "loss_p2p", "loss_pixpro"]
COPY = "objectives.pixpro.momentum_encoder."


def pass_p():
    return build((3, 2), pixpro=True)


def test_losses_and_gradients():
    model = pass_p()
    losses = model(**batch(4, small=0), mode="loss")
    assert list(losses) == LOSSES
    total, _ = model.parse_losses(losses)
    torch.testing.assert_close(total, sum(losses.values()))
    total.backward()
    for name, parameter in model.named_parameters():
        if name.startswith(COPY):
            assert parameter.grad is None, name
        else:
            assert parameter.grad.isfinite().all(), name


def test_each_view_goes_once_through_the_backbone_and_once_through_its_copy():
    model = pass_p()
    seen = {"backbone": [], "copy": []}
    copy = model.objectives["pixpro"].momentum_encoder.module.backbone
    for name, backbone in (("backbone", model.backbone), ("copy", copy)):
        backbone.register_forward_pre_hook(
            lambda _, inputs, name=name: seen[name].append(inputs[0].clone())
        )
    data = batch(4)
    model(**data, mode="loss")
    large, small = torch.cat(data["inputs"][:2]), torch.cat(data["inputs"][2:])
    assert [len(images) for images in seen["backbone"]] == [8, 8]
    assert seen["backbone"][0].equal(large)
    assert seen["backbone"][1].equal(small)
    assert len(seen["copy"]) == 1
    assert seen["copy"][0].equal(large)


def test_the_copy_starts_from_the_weights_that_training_starts_from():
    """The runner draws, or loads, the weights after the model was built."""
    model = pass_p()
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.normal_()
    model(**batch(4), mode="loss")
    copy = model.objectives["pixpro"].momentum_encoder.module
    for ours, theirs in zip(model.backbone.parameters(), copy.backbone.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_some_steps_lower_the_loss():
    model = pass_p()
    lars = {"type": LARS, "lr": 0.2, "weight_decay": 1e-5, "trust_coefficient": 0.01}
    wrapper = LARSOptimWrapperConstructor({"type": "OptimWrapper", "optimizer": lars})(model)
    data = batch(8, small=0)
    found = []
    for _ in range(9):
        total, logged = model.parse_losses(model(**data, mode="loss"))
        wrapper.update_params(total)
        found.append(logged["loss_pixpro"].item())
    assert found[-1] < found[0] - 0.3
    copy = model.objectives["pixpro"].momentum_encoder.module.backbone
    pairs = zip(model.backbone.parameters(), copy.parameters(), strict=True)
    assert all(not torch.equal(ours, theirs) for ours, theirs in pairs)


def test_the_whole_step_in_half_precision():
    """Losses come in float32 and near those of float32; all gradients are finite."""
    data = batch(6, small=0)
    expected = pass_p()(**data, mode="loss")
    model = pass_p()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(**data, mode="loss")
        total, _ = model.parse_losses(losses)
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(expected[name].item(), abs=0.2)
    total.backward()
    for name, parameter in model.named_parameters():
        assert name.startswith(COPY) or parameter.grad.isfinite().all(), name
    assert all(value.dtype != torch.bfloat16 for value in model.state_dict().values())
