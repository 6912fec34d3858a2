import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from scipy.ndimage import gaussian_filter

from luss.models.data_preprocessors import photometric
from luss.models.data_preprocessors.photometric import (
    ColorJitter,
    GaussianBlur,
    RandomGrayscale,
    Solarize,
)
from luss.registry import MODELS

TRANSFORMS = [
    {"type": "ColorJitter", "probability": 0.8},
    {"type": "RandomGrayscale", "probability": 0.5},
    {"type": "GaussianBlur", "probability": 0.5},
    {"type": "Solarize", "probability": 0.5},
]
LEVEL = 1 / 255


def photos(count=3, side=8, seed=0):
    """uint8 photos, the first with grey, black, white and saturated pixels among its own."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    pixels[0, 0, :3] = [[0], [9], [255]]
    pixels[0, 0, 3:6] = 255 * np.eye(3)
    return pixels


def tensors(pixels):
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def arrays(images):
    return images.permute(0, 2, 3, 1).numpy()


def factors(*values):
    return torch.tensor(values).view(-1, 1, 1, 1)


# Against PIL, which rounds to whole levels


def test_grayscale_is_pils():
    pixels = photos()
    expected = [np.asarray(Image.fromarray(image).convert("L")) for image in pixels]
    grey = photometric.grayscale(tensors(pixels))[:, 0]
    np.testing.assert_allclose(grey, np.stack(expected) / 255, atol=LEVEL)


@pytest.mark.parametrize(
    ("adjust", "enhancer", "rounded"),
    [
        (photometric.adjust_brightness, ImageEnhance.Brightness, 0.0),
        # PIL's grey is a whole level, half a level off at most.
        (photometric.adjust_contrast, ImageEnhance.Contrast, 0.5),
        (photometric.adjust_saturation, ImageEnhance.Color, 0.5),
    ],
)
@pytest.mark.parametrize("amounts", [(0.2, 0.7, 1.0), (1.3, 1.8, 0.0)])
def test_blends_are_pils(adjust, enhancer, rounded, amounts):
    pixels = photos()
    adjusted = arrays(adjust(tensors(pixels), factors(*amounts)))
    for image, amount, ours in zip(pixels, amounts, adjusted, strict=True):
        theirs = np.asarray(enhancer(Image.fromarray(image)).enhance(amount)) / 255
        np.testing.assert_allclose(ours, theirs, atol=(1 + 2 * rounded * abs(1 - amount)) * LEVEL)


def test_solarize_is_pils():
    pixels = photos()
    solarized = Solarize(threshold=128 / 255, probability=1.0)(tensors(pixels))
    expected = [np.asarray(ImageOps.solarize(Image.fromarray(image), 128)) for image in pixels]
    np.testing.assert_allclose(arrays(solarized), np.stack(expected) / 255, atol=1e-6)


# Against definitions


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.5, 0.5), st.integers(0, 99))
def test_hue_turns_as_in_colorsys(turns, seed):
    pixels = photos(count=1, seed=seed)
    turned = arrays(photometric.adjust_hue(tensors(pixels), factors(turns)))
    for ours, pixel in zip(turned.reshape(-1, 3), pixels.reshape(-1, 3) / 255, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        expected = colorsys.hsv_to_rgb((hue + turns) % 1, saturation, value)
        np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
def test_blur_is_a_gaussian(sigma):
    pixels = photos(count=2, side=21)
    blur = GaussianBlur(radius=(sigma, sigma), probability=1.0)
    expected = [
        [
            gaussian_filter(channel, sigma, mode="nearest", radius=blur.reach)
            for channel in np.moveaxis(image / 255, -1, 0)
        ]
        for image in pixels
    ]
    np.testing.assert_allclose(blur(tensors(pixels)), expected, atol=1e-5)


def test_blur_reaches_three_deviations():
    assert GaussianBlur(radius=(0.1, 2.0)).reach == 6


def test_nothing_to_jitter():
    images = tensors(photos())
    jitter = ColorJitter(0, 0, 0, 0, probability=1.0)
    torch.testing.assert_close(jitter(images), images, atol=1e-6, rtol=0)


def test_brightness_is_uniform_over_its_range():
    torch.manual_seed(0)
    grey = torch.full((4000, 3, 1, 1), 0.25)
    drawn = ColorJitter(0.8, 0, 0, 0, probability=1.0)(grey)[:, 0, 0, 0] / 0.25
    assert 0.2 <= drawn.min() < 0.21
    assert 1.79 < drawn.max() <= 1.8
    # Four standard errors of the mean of 4000 uniform numbers.
    assert drawn.mean().item() == pytest.approx(1, abs=4 * 1.6 / 12**0.5 / 4000**0.5)


# Of every transform


@pytest.fixture(params=TRANSFORMS, ids=lambda config: config["type"])
def config(request):
    return dict(request.param)


def test_values_stay_in_range_and_the_input_as_it_was(config):
    images = tensors(photos(count=16))
    before = images.clone()
    transform = MODELS.build(config)
    for seed in range(20):
        torch.manual_seed(seed)
        transformed = transform(images)
        assert transformed.shape == images.shape
        assert transformed.min() >= 0
        assert transformed.max() <= 1 + 1e-6
        assert torch.equal(images, before)


def test_the_seed_decides(config):
    transform, images = MODELS.build(config), tensors(photos(count=16))

    def draw(seed):
        torch.manual_seed(seed)
        return transform(images)

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


@pytest.mark.parametrize("probability", [0.5, 1.0])
def test_an_image_knows_nothing_of_its_neighbours(config, probability):
    transform = MODELS.build({**config, "probability": probability})
    images = tensors(photos(count=8))
    changed = images.clone()
    changed[3] = torch.rand(3, 8, 8)
    torch.manual_seed(5)
    first = transform(images)
    torch.manual_seed(5)
    second = transform(changed)
    others = [0, 1, 2, 4, 5, 6, 7]
    torch.testing.assert_close(first[others], second[others], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", [ColorJitter, GaussianBlur])
def test_each_image_draws_its_own(kind):
    same = tensors(photos(count=1)).expand(6, -1, -1, -1)
    transformed = kind(probability=1.0)(same)
    for i in range(6):
        for j in range(i):
            assert not torch.allclose(transformed[i], transformed[j], atol=1e-4)


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_probability(config, probability):
    transform = MODELS.build({**config, "probability": probability})
    torch.manual_seed(0)
    images = tensors(photos(count=1, seed=3)).expand(2000, -1, -1, -1)
    changed = (transform(images) != images).flatten(1).any(dim=1).float().mean().item()
    standard_error = (probability * (1 - probability) / 2000) ** 0.5
    assert changed == pytest.approx(probability, abs=4 * standard_error)


@pytest.mark.parametrize("count", [1, 2])
def test_photos_of_one_pixel(config, count):
    transform = MODELS.build({**config, "probability": 1.0})
    assert transform(torch.rand(count, 3, 1, 1)).shape == (count, 3, 1, 1)


def test_grey_photos_have_three_channels_alike():
    grey = RandomGrayscale(probability=1.0)(tensors(photos()))
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert torch.equal(grey[:, 0], grey[:, 2])
