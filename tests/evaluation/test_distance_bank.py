"""Bank vectors and label maps of distance matching against their definitions."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from luss.errors import LussError
from luss.evaluation.distance_bank import DistanceBank, class_vectors, nearest_class_map


def plain_upsample(features):
    """(L, 4h, 4w) float64, each value mixed from its four neighbours."""
    channels, height, width = features.shape
    result = torch.zeros(channels, 4 * height, 4 * width, dtype=torch.float64)
    for row in range(4 * height):
        for column in range(4 * width):
            y, x = max(0, (row + 0.5) / 4 - 0.5), max(0, (column + 0.5) / 4 - 0.5)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            down, along = y - top, x - left
            upper = (1 - along) * features[:, top, left] + along * features[:, top, right]
            lower = (1 - along) * features[:, bottom, left] + along * features[:, bottom, right]
            result[:, row, column] = (1 - down) * upper + down * lower
    return result


@pytest.mark.parametrize(("height", "width"), [(9, 14), (3, 31), (40, 7)])
def test_class_vectors(height, width):
    generator = torch.Generator().manual_seed(height)
    features = torch.randn(5, 2, 3, generator=generator)
    mask = torch.tensor([0, 4, 1000, 300])[
        torch.randint(0, 4, (height, width), generator=generator)
    ]
    large = plain_upsample(features)
    expected = {}
    for row in range(8):
        for column in range(12):
            label = int(mask[row * height // 8, column * width // 12])
            expected[label] = expected.get(label, 0) + large[:, row, column] / (8 * 12)
    del expected[1000]
    found, labels = class_vectors(features, mask)
    assert labels.tolist() == sorted(expected)
    for vector, label in zip(found, labels.tolist(), strict=True):
        torch.testing.assert_close(vector.double(), expected[label], rtol=0, atol=1e-6)


def test_a_class_that_the_small_mask_loses_gives_no_vector():
    mask = torch.zeros(64, 64, dtype=torch.int64)
    mask[3, 3] = 7  # between the pixels that a 4 x 4 map looks at
    _, labels = class_vectors(torch.ones(2, 1, 1), mask)
    assert labels.tolist() == [0]


def test_a_mask_of_ignored_pixels_gives_none():
    found, labels = class_vectors(torch.ones(2, 1, 1), torch.full((4, 4), 1000))
    assert found.shape == (0, 2)
    assert labels.tolist() == []


@pytest.mark.parametrize("channels", [3, 40])
def test_autocast_changes_neither_bank_nor_labels(channels):
    """The backbone runs in half precision, its features are compared in float32."""
    generator = torch.Generator().manual_seed(channels)
    features = torch.randn(2, channels, 3, 4, generator=generator).bfloat16()
    bank = F.normalize(torch.randn(60, channels, generator=generator), dim=1)
    labels = torch.randint(0, 9, (60,), generator=generator)
    mask = torch.randint(0, 4, (24, 32), generator=generator)
    with torch.autocast("cpu", torch.bfloat16):
        vectors, _ = class_vectors(features[0], mask)
        found = nearest_class_map(features, bank, labels, 9)
    assert torch.equal(vectors, class_vectors(features[0].float(), mask)[0])
    assert torch.equal(found, nearest_class_map(features.float(), bank, labels, 9))


@pytest.mark.parametrize("channels", [3, 40])  # fewer and more features than small pixels
def test_label_map_equals_a_plain_loop(channels):
    generator = torch.Generator().manual_seed(channels)
    features = torch.randn(2, channels, 2, 4, generator=generator)
    bank = F.normalize(torch.randn(25, channels, generator=generator), dim=1)
    labels = torch.randint(0, 5, (25,), generator=generator)
    found = nearest_class_map(features, bank, labels, 5, k=7, temperature=0.2)
    assert found.shape == (2, 8, 16)
    for image in range(2):
        large = plain_upsample(features[image])
        for row in range(8):
            for column in range(16):
                pixel = large[:, row, column]
                cosines = (bank.double() @ (pixel / pixel.norm())).tolist()
                nearest = sorted(range(25), key=lambda i, c=cosines: -c[i])[:7]
                votes = [0.0] * 5
                for i in nearest:
                    votes[labels[i]] += math.exp(cosines[i] / 0.2)
                assert found[image, row, column] == votes.index(max(votes))


def test_a_pixel_without_any_feature_has_a_label():
    found = nearest_class_map(torch.zeros(1, 3, 1, 1), torch.eye(3), torch.tensor([2, 1, 2]), 3)
    assert found.unique().tolist() == [2]


def test_bank_file(tmp_path):
    bank = DistanceBank(
        np.arange(6, dtype=np.float32).reshape(3, 2),
        np.array([0, 4, 0]),
        np.array([0, 0, 1]),
        "a source",
    )
    bank.write(tmp_path / "bank.npz")
    again = DistanceBank.read(tmp_path / "bank.npz")
    assert again.source == "a source"
    for name in ("vectors", "labels", "images"):
        np.testing.assert_array_equal(getattr(again, name), getattr(bank, name))
    vectors, labels = again.on(torch.device("cpu"))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert labels.tolist() == [0, 4, 0]


def test_bad_banks(tmp_path):
    path = tmp_path / "bank.npz"
    with pytest.raises(LussError, match="bank of distance matching"):
        DistanceBank.read(path)
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(LussError, match="bank of distance matching"):
        DistanceBank.read(path)
    with pytest.raises(LussError, match="a class and an image for each vector"):
        DistanceBank(np.zeros((2, 3), np.float32), np.zeros(1), np.zeros(2), "")
