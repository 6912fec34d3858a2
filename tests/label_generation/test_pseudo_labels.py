"""Pixel labelling against a plain restatement at the up-sampled resolution."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from luss.datasets.mask_codec import read_mask
from luss.errors import LussError
from luss.label_generation import (
    apply_threshold,
    category_of_image,
    nearest_category,
    pixel_evidence,
    write_pseudo_label,
)


def plain_labels(features, mean_attention, centroids, size, threshold):
    """Everything at the features' four-fold resolution, one image at a time, in float64."""
    found = []
    for feature, attention in zip(features.double(), mean_attention.double(), strict=True):
        z = F.interpolate(feature[None], scale_factor=4, mode="bilinear")
        z = F.normalize(z, dim=1)[0]
        c = F.normalize(centroids.double(), dim=1)
        ids = torch.einsum("cl,lhw->chw", c, z).argmax(dim=0) + 1
        rows = torch.arange(size[0]) * ids.shape[0] // size[0]
        columns = torch.arange(size[1]) * ids.shape[1] // size[1]
        full = F.interpolate(attention[None], size=size, mode="bilinear")[0, 0]
        found.append(torch.where(full < threshold, 0, ids[rows][:, columns]))
    return torch.stack(found)


@pytest.mark.parametrize("size", [(33, 50), (8, 12), (5, 7), (16, 1)])
def test_labels_equal_the_plain_order_of_operations(size):
    torch.manual_seed(0)
    features = torch.randn(2, 6, 2, 3)
    mean_attention = torch.rand(2, 1, 8, 12)
    centroids = torch.randn(9, 6)
    evidence = pixel_evidence(features, mean_attention, centroids, size)
    labels = apply_threshold(*evidence, threshold=0.5)
    assert labels.dtype == torch.int64
    expected = plain_labels(features, mean_attention, centroids, size, 0.5)
    assert (labels == expected).float().mean() == 1
    assert 0 < (labels == 0).float().mean() < 1


def test_length_of_centroids_and_features_does_not_matter():
    torch.manual_seed(1)
    features, centroids = torch.randn(1, 5, 3, 3), torch.randn(4, 5)
    ids = nearest_category(features, centroids)
    assert torch.equal(ids, nearest_category(9 * features, centroids * torch.rand(4, 1).add(0.1)))
    assert ids.min() >= 1
    assert ids.max() <= 4


def test_autocast_changes_no_label():
    """Categories are compared in float32, whatever precision the backbone ran in."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 24, 6, 5, generator=generator)
    centroids = torch.randn(30, 24, generator=generator)
    with torch.autocast("cpu", torch.bfloat16):
        ids, images = nearest_category(features, centroids), category_of_image(features, centroids)
    assert torch.equal(ids, nearest_category(features, centroids))
    assert torch.equal(images, category_of_image(features, centroids))


def test_many_classes():
    torch.manual_seed(2)
    features, centroids = torch.randn(1, 16, 8, 11), torch.randn(919, 16)
    z = F.interpolate(features.double(), scale_factor=4, mode="bilinear")
    expected = torch.einsum("cl,nlhw->nchw", F.normalize(centroids.double()), z).argmax(1) + 1
    assert (nearest_category(features, centroids) == expected).float().mean() > 0.999


def test_attention_equal_to_the_threshold_is_foreground():
    ids = torch.full((1, 1, 3), 2)
    attention = torch.tensor([[[0.25, 0.5, 0.75]]])
    assert apply_threshold(ids, attention, 0.5).tolist() == [[[0, 2, 2]]]
    assert apply_threshold(ids, attention, 0.0).tolist() == [[[2, 2, 2]]]


def test_evidence_at_full_size():
    features, attention = torch.randn(2, 3, 2, 2), torch.rand(2, 1, 8, 8)
    ids, full = pixel_evidence(features, attention, torch.randn(5, 3), (8, 8))
    assert ids.shape == (2, 8, 8)
    torch.testing.assert_close(full, attention[:, 0])


def test_written_labels_are_read_back(tmp_path):
    ids = torch.tensor([[0, 255, 256], [919, 1, 300]])
    path = write_pseudo_label(tmp_path, "n01440764/n01440764_1.x", ids)
    assert path == tmp_path / "n01440764" / "n01440764_1.x.png"
    np.testing.assert_array_equal(read_mask(path), ids.numpy())


@pytest.mark.parametrize("image_id", ["../a", "/a", "n1/../../a", ""])
def test_labels_stay_below_their_folder(tmp_path, image_id):
    with pytest.raises(LussError, match="is not a path inside"):
        write_pseudo_label(tmp_path / "labels", image_id, np.zeros((1, 1), np.int64))
    assert not list(tmp_path.rglob("*.png"))


def test_channels_must_agree():
    with pytest.raises(LussError, match="same backbone"):
        nearest_category(torch.randn(1, 3, 2, 2), torch.randn(2, 4))
