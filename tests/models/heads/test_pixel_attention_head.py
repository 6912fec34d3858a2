"""Pixel attention against a plain restatement of eq. (6)."""

import pytest
import torch
import torch.nn.functional as F

from luss.errors import LussError
from luss.models.heads.pixel_attention import PixelAttention
from luss.registry import MODELS


def plain_attention(head: PixelAttention, features: torch.Tensor) -> torch.Tensor:
    """Up-sample, normalise, then the layers one after the other."""
    z = F.normalize(F.interpolate(features, scale_factor=4, mode="bilinear"), dim=1)
    return torch.sigmoid(head.atten(z) + head.threshold)


@pytest.mark.parametrize("shared", [False, True])
def test_values_and_gradients_equal_the_plain_order_of_operations(shared):
    torch.manual_seed(0)
    head = MODELS.build({"type": "PixelAttention", "channels": 6, "shared": shared}).double()
    features = torch.randn(3, 6, 2, 5, dtype=torch.float64).requires_grad_()

    z = F.normalize(F.interpolate(features, scale_factor=4, mode="bilinear"), dim=1)
    expected = (z * plain_attention(head, features)).mean(dim=(2, 3))
    weights = [features, *head.parameters()]
    torch.testing.assert_close(head(features), expected)
    towards = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(head(features), weights, towards),
        torch.autograd.grad(expected, weights, towards),
    )


def test_shared_attention_is_one_map():
    head = PixelAttention(channels=4, shared=True).eval()
    features = torch.randn(2, 4, 3, 3)
    attention = head.attention(features)
    assert attention.shape == (2, 1, 12, 12)
    torch.testing.assert_close(head.mean_attention(features), attention)
    assert head.pool_raw(features).shape == (2, 4)


def test_threshold_starts_at_zero_and_raises_the_attention():
    torch.manual_seed(0)
    head = PixelAttention(channels=4).eval()
    assert not head.threshold.any()
    features = torch.randn(1, 4, 2, 2)
    with torch.no_grad():
        before = head.attention(features)
        head.threshold.fill_(1.0)
        after = head.attention(features)
    torch.testing.assert_close(torch.logit(after), torch.logit(before) + 1.0)


def test_dead_pixels_give_no_nan():
    head = PixelAttention(channels=4).eval()
    features = torch.zeros(1, 4, 2, 2, requires_grad=True)
    pooled = head(features)
    assert not pooled.any()
    pooled.sum().backward()
    assert torch.isfinite(features.grad).all()


def test_half_precision_features_are_pooled_in_single_precision():
    head = PixelAttention(channels=4).eval()
    features = torch.randn(2, 4, 3, 3).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = head(features)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, head(features.float()), atol=2e-2, rtol=5e-2)


def test_wrong_channels_are_named():
    with pytest.raises(LussError, match="expected 4 channels"):
        PixelAttention(channels=4)(torch.randn(2, 3, 2, 2))
    with pytest.raises(LussError, match="channels is 0"):
        PixelAttention(channels=0)


@pytest.mark.parametrize(("shared", "maps"), [(False, 256), (True, 1)])
def test_convolutions_start_kaiming_fan_out(shared, maps):
    """Normal of variance 2 / fan-out, as the released code draws every convolution."""
    torch.manual_seed(0)
    head = PixelAttention(channels=256, shared=shared)
    head.init_weights()
    for conv, fan_out in ((head.atten[0], 256), (head.atten[3], maps)):
        weights = conv.weight.detach().flatten() / (2 / fan_out) ** 0.5
        assert float(weights.std()) == pytest.approx(1, rel=0.15)
        # A uniform draw of this deviation would end at 1.73.
        assert float(weights.abs().max()) > 2
        # PyTorch's default.
        assert float(conv.bias.detach().abs().max()) <= 256**-0.5
