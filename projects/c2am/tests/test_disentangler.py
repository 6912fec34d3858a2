"""The disentangler and the two representations that its map gives."""

import torch
import torch.nn.functional as F

from c2am import Disentangler
from c2am.disentangler import disentangle


def test_the_map_is_that_of_plain_layers():
    torch.manual_seed(0)
    head, features = Disentangler(5).eval(), torch.rand(2, 5, 4, 6)
    head.norm.running_mean.fill_(0.2)
    head.norm.running_var.fill_(4.0)
    assert [name for name, _ in head.named_parameters()] == [
        "convolution.weight", "norm.weight", "norm.bias",
    ]  # fmt: skip
    plain = F.conv2d(features, head.convolution.weight, padding=1)
    expected = torch.sigmoid((plain - 0.2) / (4.0 + head.norm.eps) ** 0.5)
    torch.testing.assert_close(head(features), expected)


def test_representations_are_weighted_means():
    torch.manual_seed(0)
    features, activation = torch.randn(3, 4, 2, 5), torch.rand(3, 1, 2, 5)
    active, rest = disentangle(features, activation)
    torch.testing.assert_close(active, (features * activation).mean(dim=(2, 3)))
    torch.testing.assert_close(rest, (features * (1 - activation)).mean(dim=(2, 3)))
    with torch.autocast("cpu", torch.bfloat16):
        again, _ = disentangle(features, activation)
    torch.testing.assert_close(again, active, rtol=0, atol=0)
