import math

import pytest
import torch

from luss.models.heads import PixelPropagation
from luss.models.heads.pixel_propagation import propagate


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit(vector):
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]


def plain_propagate(features, values, sharpness):
    """Pixel by pixel, for one image: lists of the pixels' vectors."""
    features, values = [unit(pixel) for pixel in features], [unit(pixel) for pixel in values]
    smoothed = []
    for ours in features:
        total = [0.0] * len(values[0])
        for theirs, value in zip(features, values, strict=True):
            cosine = sum(a * b for a, b in zip(ours, theirs, strict=True))
            weight = max(cosine, 0.0) ** sharpness
            total = [t + weight * v for t, v in zip(total, value, strict=True)]
        smoothed.append(total)
    return smoothed


@pytest.mark.parametrize("sharpness", [1.0, 2.0, 3.5])
def test_it_equals_a_plain_loop(sharpness):
    features, values = draw(2, 5, 3, 4), draw(2, 6, 3, 4, seed=1)
    found = propagate(features, values, sharpness)
    assert found.shape == values.shape
    for image in range(2):
        pixels = [maps[image].flatten(1).T.tolist() for maps in (features, values)]
        expected = torch.tensor(plain_propagate(*pixels, sharpness)).T
        torch.testing.assert_close(found[image].flatten(1), expected, rtol=1e-4, atol=1e-5)


def test_pixels_that_are_unlike_keep_to_themselves():
    # Three pixels: two alike, one orthogonal to both, and a fourth against the first two.
    features = torch.tensor([[3.0, 0], [1, 0], [0, 2], [-1, 0]]).T.reshape(1, 2, 2, 2)
    values = torch.eye(4).reshape(1, 4, 2, 2)
    expected = torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert propagate(features, values).flatten(2)[0].equal(expected)


def test_the_module_propagates_its_values():
    torch.manual_seed(0)
    module = PixelPropagation(5)
    assert module.sharpness == 2
    assert module.value.bias is not None
    features = draw(2, 5, 3, 4)
    expected = propagate(features, module.value(features), 2.0)
    torch.testing.assert_close(module(features), expected)


def test_half_precision_is_left_for_the_sums():
    torch.manual_seed(0)
    module, features = PixelPropagation(64), draw(2, 64, 7, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = module(features)
        values = module.value(features)
    assert values.dtype == torch.bfloat16
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, propagate(features, values.float()))
