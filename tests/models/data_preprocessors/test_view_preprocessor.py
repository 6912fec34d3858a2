import numpy as np
import pytest
import torch

from luss.errors import LussError
from luss.models import ViewPreprocessor

AUGMENTATIONS = [
    {"type": "ColorJitter", "probability": 0.8},
    {"type": "RandomGrayscale", "probability": 0.5},
    {"type": "GaussianBlur", "probability": 0.5},
]
SOLARIZE = [{"type": "Solarize", "threshold": 0.0, "probability": 1.0}]


def batch(views=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = [
        torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=generator)
        for _ in range(views)
    ]
    return {"inputs": inputs, "geometry": torch.rand(5, views, 5)}


def test_normalisation():
    mean, std = (0.485, 0.456, 0.406), (0.228, 0.224, 0.225)
    data = batch()
    prepared = ViewPreprocessor(mean, std, AUGMENTATIONS)(data, training=False)
    for view, images in enumerate(prepared["inputs"]):
        pixels = data["inputs"][view].permute(0, 2, 3, 1).numpy() / 255
        expected = ((pixels - mean) / std).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(images, expected, atol=1e-6)
        assert images.dtype == torch.float32
    assert torch.equal(prepared["geometry"], data["geometry"])


def test_views_are_augmented_independently_while_training():
    preprocessor = ViewPreprocessor(augmentations=AUGMENTATIONS)
    data = batch(views=1)
    data["inputs"] = data["inputs"] * 2
    plain, other = preprocessor(data, training=False)["inputs"]
    assert torch.equal(plain, other)
    one, two = preprocessor(data, training=True)["inputs"]
    assert not torch.equal(one, plain)
    assert not torch.equal(one, two)


def test_each_view_can_have_its_own():
    data = batch()
    preprocessor = ViewPreprocessor((0, 0, 0), (1, 1, 1), [[], SOLARIZE])
    first, second = preprocessor(data, training=True)["inputs"]
    torch.testing.assert_close(first, data["inputs"][0] / 255)
    torch.testing.assert_close(second, 1 - data["inputs"][1] / 255)


def test_autocast_changes_nothing():
    preprocessor = ViewPreprocessor(augmentations=AUGMENTATIONS)
    torch.manual_seed(0)
    expected = preprocessor(batch(), training=True)["inputs"]
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        prepared = preprocessor(batch(), training=True)["inputs"]
    for one, other in zip(prepared, expected, strict=True):
        assert torch.equal(one, other)


def test_the_batch_is_left_as_it_was():
    data = batch()
    before = [images.clone() for images in data["inputs"]]
    ViewPreprocessor(augmentations=AUGMENTATIONS)(data, training=True)
    for images, copy in zip(data["inputs"], before, strict=True):
        assert torch.equal(images, copy)


def test_views_that_are_not_uint8_are_rejected():
    data = batch()
    data["inputs"][1] = data["inputs"][1].float()
    with pytest.raises(LussError, match="uint8"):
        ViewPreprocessor()(data)


def test_more_views_than_augmentations_are_rejected():
    preprocessor = ViewPreprocessor(augmentations=[[], SOLARIZE])
    with pytest.raises(LussError, match="2 views, but there are 3"):
        preprocessor(batch(views=3), training=True)
